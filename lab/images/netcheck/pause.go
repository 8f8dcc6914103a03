// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright: the ovn_k8s.cluster authors

package main

import (
	"io"
	"os"
	"os/signal"
	"syscall"
)

// pause holds a pod's namespaces and buries processes whose parents have died, until it is told to end.
func pause(_ []string, _, _ io.Writer) int {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for got := range signals {
		if got != syscall.SIGCHLD {
			return 0
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err == syscall.EINTR {
				continue
			} else if pid <= 0 || err != nil {
				break
			}
		}
	}
	return 0
}
