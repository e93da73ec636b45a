package keystore

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// sealedFormat is the first word of a sealed file; the second one says what it
// was sealed with.
const sealedFormat = "berryrack-sealed-key-v1"

const (
	saltSize = 16
	// RFC 9106 section 4, second recommended option.
	argonTime, argonMemory, argonThreads = 3, 64 << 10, 4
	// maxSecret is the most that a file with a secret may hold.
	maxSecret = 4096
)

// ErrSecret is wrapped where a sealed key cannot be opened with the given secret.
var ErrSecret = errors.New("the secret is not the one that the key was sealed with, or the file was changed")

// ErrUnsealed is wrapped where there is a secret, but a private key is not sealed.
var ErrUnsealed = errors.New("is not sealed, though there is a secret to seal it with")

// Secret seals private keys. Its String and its use in errors show nothing of it.
type Secret struct {
	kind  string
	octet []byte
}

// String names the kind of the secret.
func (s *Secret) String() string { return s.kind }

// PassphraseFile reads a passphrase: the first line of a file.
func PassphraseFile(path string) (*Secret, error) {
	text, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	line, _, _ := bytes.Cut(text, []byte{'\n'})
	line = bytes.TrimSuffix(line, []byte{'\r'})
	if len(line) == 0 {
		return nil, fmt.Errorf("keystore: %s: no passphrase on the first line", path)
	}
	return &Secret{kind: "passphrase", octet: line}, nil
}

// KeyFile reads a key of 32 octets, as they are or in base64, such as `openssl
// rand -base64 32` prints.
func KeyFile(path string) (*Secret, error) {
	octets, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	if len(octets) != chacha20poly1305.KeySize {
		if octets, err = base64.StdEncoding.DecodeString(strings.TrimSpace(string(octets))); err != nil || len(octets) != chacha20poly1305.KeySize {
			return nil, fmt.Errorf("keystore: %s: want %d octets, as they are or in base64", path, chacha20poly1305.KeySize)
		}
	}
	return &Secret{kind: "key", octet: octets}, nil
}

// readSecret reads a small file that only its owner may read.
func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("keystore: %s: mode is %04o: group and others must not read it (chmod 600)", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(text) > maxSecret {
		err = fmt.Errorf("%s is longer than %d octets", path, maxSecret)
	}
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	return text, nil
}

// aead derives the cipher for one file.
func (s *Secret) aead(salt []byte) (cipher.AEAD, error) {
	if s.kind == "passphrase" {
		return chacha20poly1305.NewX(argon2.IDKey(s.octet, salt, argonTime, argonMemory, argonThreads, chacha20poly1305.KeySize))
	}
	key, err := hkdf.Key(sha256.New, s.octet, salt, sealedFormat, chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.NewX(key)
}

// seal encrypts text, which belongs to name.
func (s *Secret) seal(random io.Reader, name string, text []byte) ([]byte, error) {
	head := make([]byte, saltSize+chacha20poly1305.NonceSizeX)
	if _, err := io.ReadFull(random, head); err != nil {
		return nil, err
	}
	aead, err := s.aead(head[:saltSize])
	if err != nil {
		return nil, err
	}
	sealed := aead.Seal(head, head[saltSize:], text, []byte(name))
	return fmt.Appendf(nil, "%s %s\n%s\n", sealedFormat, s.kind, base64.StdEncoding.EncodeToString(sealed)), nil
}

// open decrypts what seal made.
func (s *Secret) open(name string, text []byte) ([]byte, error) {
	words := strings.Fields(string(text))
	if len(words) != 3 || words[0] != sealedFormat {
		return nil, fmt.Errorf("is no sealed key: want %q on its first line", sealedFormat)
	}
	if s == nil {
		return nil, fmt.Errorf("is sealed with a %s, which is not given", words[1])
	}
	if words[1] != s.kind {
		return nil, fmt.Errorf("is sealed with a %s, but a %s is given", words[1], s.kind)
	}
	sealed, err := base64.StdEncoding.DecodeString(words[2])
	if err != nil || len(sealed) < saltSize+chacha20poly1305.NonceSizeX {
		return nil, ErrSecret
	}
	aead, err := s.aead(sealed[:saltSize])
	if err != nil {
		return nil, err
	}
	end := saltSize + aead.NonceSize()
	opened, err := aead.Open(nil, sealed[saltSize:end], sealed[end:], []byte(name))
	if err != nil {
		return nil, ErrSecret
	}
	return opened, nil
}
