// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright: the ovn_k8s.cluster authors

package main

import (
	"net"
	"syscall"
)

// wantDestination has the kernel say with each datagram which address it was sent to (ip(7), IP_PKTINFO).
func wantDestination(socket *net.UDPConn) error {
	return setOption(socket, syscall.IP_PKTINFO, 1)
}

// setOption sets an option of level IPPROTO_IP.
func setOption(socket *net.UDPConn, option, value int) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(descriptor uintptr) {
		failed = syscall.SetsockoptInt(int(descriptor), syscall.IPPROTO_IP, option, value)
	})
	if err != nil {
		return err
	}
	return failed
}

// destination reads the address that a datagram was sent to, and makes the control message that has the answer sent
// from there: struct in_pktinfo {int ifindex; in_addr spec_dst; in_addr addr}, with no interface asked for.
func destination(control []byte) (net.IP, []byte) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return nil, nil
	}
	for _, message := range messages {
		if message.Header.Level == syscall.IPPROTO_IP && message.Header.Type == syscall.IP_PKTINFO && len(message.Data) >= 12 {
			reply := make([]byte, syscall.CmsgSpace(12))
			copy(reply, control[:syscall.CmsgLen(0)])
			copy(reply[syscall.CmsgLen(0)+4:], message.Data[4:8])
			return net.IP(append([]byte(nil), message.Data[8:12]...)), reply
		}
	}
	return nil, nil
}
