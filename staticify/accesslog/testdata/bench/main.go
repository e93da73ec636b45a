// Bench writes a log (write LINES SEED), or counts one's pages (count FILE) as staticify does.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"

	"github.com/berryrack/berryrack/staticify/accesslog"
	"github.com/berryrack/berryrack/staticify/topk"
	"github.com/berryrack/berryrack/staticify/zipflog"
)

func main() {
	var err error
	switch os.Args[1] {
	case "write":
		err = write(os.Args[2])
	case "count":
		err = count(os.Args[2])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func write(lines string) error {
	n, err := strconv.Atoi(lines)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(os.Stdout, 1<<20)
	g := zipflog.New(1)
	var line []byte
	for range n {
		line = g.AppendCombined(line[:0])
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return w.Flush()
}

func count(path string) error {
	r, err := accesslog.Open(path, accesslog.Format{})
	if err != nil {
		return err
	}
	defer r.Close()
	s := topk.New(8192)
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		s.Add(h.Target, topk.Client(h.Client))
	}
	top := s.Top(1)[0]
	fmt.Printf("%d lines, %d malformed; %s %.0f times by about %d clients\n", r.Stats().Lines, r.Stats().Malformed, top.Key, top.Count, top.Clients)
	return nil
}
