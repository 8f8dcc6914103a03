// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright: the ovn_k8s.cluster authors

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// BatchResult is what "batch" prints of one command, in the order in which the commands end.
type BatchResult struct {
	Index  int             `json:"index"`            // of the command, from 0
	Status int             `json:"status"`           // its exit status
	Result json.RawMessage `json:"result,omitempty"` // the line that it has printed
	Error  string          `json:"error,omitempty"`  // what it has written to standard error
}

// batchable are the subcommands that end by themselves.
var batchable = map[string]func([]string, io.Writer, io.Writer) int{"check": check, "mtu": mtu, "http": fetch}

const atOnce = 16

// batch runs the commands that it reads from standard input, one JSON array of words a line, several at once. Its own
// status is 0 when it could run them, whatever their results.
func batch(arguments []string, out, errors io.Writer) int {
	set := flag.NewFlagSet("batch", flag.ContinueOnError)
	if _, ok := parse(set, arguments, errors); !ok {
		return 2
	}
	return runBatch(os.Stdin, out, errors)
}

func runBatch(in io.Reader, out, errors io.Writer) int {
	var commands [][]string
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var words []string
		err := json.Unmarshal(lines.Bytes(), &words)
		if err != nil || len(words) == 0 || batchable[words[0]] == nil {
			fmt.Fprintf(errors, "netcheck batch: %q is not a list of words that begins with check, mtu or http\n", lines.Text())
			return 2
		}
		commands = append(commands, words)
	}
	var waiting sync.WaitGroup
	var printing sync.Mutex
	slots := make(chan struct{}, atOnce)
	for index, words := range commands {
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			slots <- struct{}{}
			defer func() { <-slots }()
			var result, complaint bytes.Buffer
			status := batchable[words[0]](words[1:], &result, &complaint)
			printing.Lock()
			defer printing.Unlock()
			report(out, true, BatchResult{
				Index: index, Status: status,
				Result: bytes.TrimSpace(result.Bytes()), Error: strings.TrimSpace(complaint.String()),
			})
		}()
	}
	waiting.Wait()
	return 0
}
