// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright: the ovn_k8s.cluster authors

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"syscall"
	"time"
)

const (
	headers      = 28 // IPv4 without options, and UDP
	pmtudiscFlag = 3  // IP_PMTUDISC_PROBE of ip(7): set "don't fragment" and ignore what is known of the path
)

// MTUResult is what "mtu" prints. Packet is the size of the largest IPv4 packet, in bytes; Payload that of its UDP data.
type MTUResult struct {
	OK      bool   `json:"ok"`
	Server  string `json:"server"`
	Packet  int    `json:"packet"`
	Payload int    `json:"payload"`
	Error   string `json:"error,omitempty"`
}

func mtu(arguments []string, out, errorStream io.Writer) int {
	set := flag.NewFlagSet("mtu", flag.ContinueOnError)
	timeout := set.Duration("timeout", 400*time.Millisecond, "for the answer to one packet")
	attempts := set.Int("attempts", 3, "packets of one size before it counts as too large")
	most := set.Int("max", 9216, "largest packet to try, in bytes")
	found, ok := parse(set, arguments, errorStream, "HOST", "PORT")
	if !ok {
		return 2
	}
	result := MTUResult{Server: net.JoinHostPort(found[0], found[1])}
	packet, err := largestPacket(result.Server, *most, *attempts, *timeout)
	if err != nil {
		result.Error = err.Error()
	} else {
		result.OK, result.Packet, result.Payload = true, packet, packet-headers
	}
	return report(out, result.OK, result)
}

// largestPacket finds by halving the largest unfragmented IPv4 packet that the server has had, in bytes.
func largestPacket(server string, most, attempts int, timeout time.Duration) (int, error) {
	address, err := net.ResolveUDPAddr("udp4", server)
	if err != nil {
		return 0, err
	}
	socket, err := net.DialUDP("udp4", nil, address)
	if err != nil {
		return 0, err
	}
	defer socket.Close()
	if err := setOption(socket, syscall.IP_MTU_DISCOVER, pmtudiscFlag); err != nil {
		return 0, err
	}
	good, bad := 68, most+1 // 68: what every IPv4 link carries (RFC 791)
	if passes, err := arrives(socket, good-headers, attempts+2, timeout); err != nil {
		return 0, err
	} else if !passes {
		return 0, errors.New("no answer, even to the smallest packet")
	}
	for bad-good > 1 {
		size := (good + bad) / 2
		passes, err := arrives(socket, size-headers, attempts, timeout)
		if err != nil {
			return 0, err
		}
		if passes {
			good = size
		} else {
			bad = size
		}
	}
	return good, nil
}

// arrives says whether the server has had a datagram with that many bytes of data.
func arrives(socket *net.UDPConn, size, attempts int, timeout time.Duration) (bool, error) {
	data, answer := bytes.Repeat([]byte("x"), size), make([]byte, 64<<10)
	for range attempts {
		if _, err := socket.Write(data); errors.Is(err, syscall.EMSGSIZE) {
			return false, nil // larger than our own interface's MTU
		} else if err != nil {
			continue // an ICMP error that an earlier packet has brought
		}
		deadline := time.Now().Add(timeout)
		for socket.SetReadDeadline(deadline) == nil {
			received, err := socket.Read(answer)
			if err != nil {
				break
			}
			var said Answer
			if json.Unmarshal(answer[:received], &said) == nil && said.Size == size {
				return true, nil
			}
		}
	}
	return false, nil
}
