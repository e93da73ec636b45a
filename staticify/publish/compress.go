package publish

import (
	"bytes"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
)

// The levels at which a page of 50 KB takes about a millisecond: it is made anew each minute, for some thousand readers.
const (
	gzipLevel   = 6
	brotliLevel = 5
)

// worthwhile is the least that a body must have before it is compressed: less fits one packet either way.
const worthwhile = 512

// smaller returns the compressed body, nil when it is not smaller.
func smaller(body []byte, compress func(*bytes.Buffer) io.WriteCloser) []byte {
	if len(body) < worthwhile {
		return nil
	}
	var b bytes.Buffer
	w := compress(&b)
	if _, err := w.Write(body); err != nil || w.Close() != nil || b.Len() >= len(body) {
		return nil
	}
	return b.Bytes()
}

func gzipped(b *bytes.Buffer) io.WriteCloser {
	w, _ := gzip.NewWriterLevel(b, gzipLevel) // fails for a level that does not exist
	return w
}

func brotlied(b *bytes.Buffer) io.WriteCloser { return brotli.NewWriterLevel(b, brotliLevel) }
