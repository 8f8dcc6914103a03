// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright: the ovn_k8s.cluster authors

package main

import (
	"flag"
	"fmt"
	"io"
)

// parse reads options that may stand before, between and after the positional arguments, and wants exactly as many of
// these as have names.
func parse(set *flag.FlagSet, arguments []string, errors io.Writer, names ...string) ([]string, bool) {
	set.SetOutput(errors)
	var found []string
	for {
		if err := set.Parse(arguments); err != nil {
			return nil, false
		}
		if set.NArg() == 0 {
			break
		}
		found = append(found, set.Arg(0))
		arguments = set.Args()[1:]
	}
	if len(found) != len(names) {
		fmt.Fprintf(errors, "netcheck %s: expected %v, not %q\n", set.Name(), names, found)
		return nil, false
	}
	return found, true
}
