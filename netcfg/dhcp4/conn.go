package dhcp4

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// Conn carries DHCP messages on one link, whether the link has an address or
// not.
type Conn interface {
	// Receive waits for the next payload from a server. It ends with ctx.Err()
	// when ctx does.
	Receive(ctx context.Context) (Payload, error)
	// Broadcast sends to all servers, from 0.0.0.0.
	Broadcast(message []byte) error
	// BroadcastFrom sends to all servers from an address that the link has.
	BroadcastFrom(from netip.Addr, message []byte) error
	// Unicast sends to a server from an address that the link has.
	Unicast(from, to netip.Addr, message []byte) error
	Close() error
}

// Payload is a message as it was received.
type Payload struct {
	Data []byte
	From netip.Addr
}

// Listen opens the packet socket of a link (NET_RAW). It hears servers in every
// state of the client, also when they broadcast a NAK to a client that has an
// address; the kernel filters for messages to this client.
//
// It binds the client's port too (NET_BIND_SERVICE), to send unicast by. If
// that cannot be had, renewals are broadcast.
func Listen(ctx context.Context, ifi *net.Interface) (Conn, error) {
	filter, err := bpf.Assemble(filterFor(ifi.HardwareAddr))
	if err != nil {
		return nil, fmt.Errorf("filtering for DHCP on %s: %w", ifi.Name, err)
	}
	raw, err := packet.Listen(ifi, packet.Datagram, unix.ETH_P_IP, &packet.Config{Filter: filter})
	if err != nil {
		return nil, fmt.Errorf("listening for DHCP on %s: %w", ifi.Name, err)
	}
	udp, err := listenUDP(ctx, ifi.Name)
	return &packetConn{raw: raw, ifi: ifi, udp: udp, udpErr: err}, nil
}

// filterFor accepts whole UDP packets to port 68 that carry an answer to our
// hardware address. Offsets are from the beginning of IPv4, or with Indirect
// from its end.
func filterFor(mac net.HardwareAddr) []bpf.Instruction {
	const refuse = 15
	const bootp = udpHeader
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: udp, SkipTrue: refuse - 2},
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x3fff, SkipTrue: refuse - 4}, // a fragment
		bpf.LoadMemShift{Off: 0},                                             // X = length of the IPv4 header
		bpf.LoadIndirect{Off: 0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: serverPort<<16 | clientPort, SkipTrue: refuse - 7},
		bpf.LoadIndirect{Off: bootp, Size: 4}, // op BOOTREPLY, Ethernet, 6 bytes; hops may be any
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xffffff00},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x02010600, SkipTrue: refuse - 10},
		bpf.LoadIndirect{Off: bootp + 28, Size: 4}, // chaddr, in two parts
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(mac[0])<<24 | uint32(mac[1])<<16 | uint32(mac[2])<<8 | uint32(mac[3]), SkipTrue: refuse - 12},
		bpf.LoadIndirect{Off: bootp + 32, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(mac[4])<<8 | uint32(mac[5]), SkipTrue: refuse - 14},
		bpf.RetConstant{Val: maxPacket},
		bpf.RetConstant{Val: 0},
	}
}

// maxPacket is the largest message that we say we take (option 57), and what
// fits into an Ethernet frame.
const maxPacket = 1500

type packetConn struct {
	raw    *packet.Conn
	ifi    *net.Interface
	udp    net.PacketConn // nil where udpErr says why
	udpErr error
}

var broadcastMAC = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func (c *packetConn) Receive(ctx context.Context) (Payload, error) {
	if err := ctx.Err(); err != nil {
		return Payload{}, err
	}
	if err := c.raw.SetReadDeadline(time.Time{}); err != nil {
		return Payload{}, err
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = c.raw.SetReadDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-ended // lest it cut off the next Receive
		}
	}()
	buffer := make([]byte, maxPacket)
	for {
		n, _, err := c.raw.ReadFrom(buffer)
		if err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return Payload{}, err
		}
		if payload, from, err := unwrap(buffer[:n]); err == nil {
			return Payload{Data: payload, From: from}, nil
		}
	}
}

func (c *packetConn) Broadcast(message []byte) error {
	return c.BroadcastFrom(anyAddr, message)
}

func (c *packetConn) BroadcastFrom(from netip.Addr, message []byte) error {
	_, err := c.raw.WriteTo(wrap(message, from, broadcastAddr), &packet.Addr{HardwareAddr: broadcastMAC})
	return err
}

// Unicast leaves routing and ARP to the kernel.
func (c *packetConn) Unicast(from, to netip.Addr, message []byte) error {
	if c.udp == nil {
		return c.udpErr
	}
	control := &ipv4.ControlMessage{Src: from.AsSlice(), IfIndex: c.ifi.Index}
	dst := net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, serverPort))
	_, err := ipv4.NewPacketConn(c.udp).WriteTo(message, control, dst)
	return err
}

func (c *packetConn) Close() error {
	if c.udp != nil {
		_ = c.udp.Close()
	}
	return c.raw.Close()
}

// listenUDP binds port 68 of one link (NET_BIND_SERVICE, NET_RAW) and refuses
// everything that comes in: the packet socket hears it. Without a socket on the
// port the kernel would answer unicast ACKs by ICMP "port unreachable".
func listenUDP(ctx context.Context, link string) (net.PacketConn, error) {
	refuseAll, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: 0}})
	if err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = errors.Join(
				os.NewSyscallError("SO_REUSEADDR", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)),
				os.NewSyscallError("SO_BINDTODEVICE", unix.BindToDevice(int(fd), link)),
				os.NewSyscallError("SO_ATTACH_FILTER", attach(int(fd), refuseAll)),
			)
		})
		return errors.Join(err, failed)
	}}
	conn, err := config.ListenPacket(ctx, "udp4", fmt.Sprintf("0.0.0.0:%d", clientPort))
	if err != nil {
		return nil, fmt.Errorf("binding the DHCP client's port: %w", err)
	}
	return conn, nil
}

func attach(fd int, filter []bpf.RawInstruction) error {
	program := make([]unix.SockFilter, len(filter))
	for i, in := range filter {
		program[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}
