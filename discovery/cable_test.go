package discovery

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"server22.local/appliance/internal/netnstest"
)

// inNamespace is the kernel's platform in a network namespace.
type inNamespace struct{ ns *netnstest.NS }

func (p inNamespace) multicast(i Interface, f family) (s socket, err error) {
	p.ns.Do(func() { s, err = system{}.multicast(i, f) })
	return s, err
}

func (p inNamespace) unicast(i Interface, addr netip.Addr) (s socket, err error) {
	p.ns.Do(func() { s, err = system{}.unicast(i, addr) })
	return s, err
}

func (p inNamespace) watchSleep(log *slog.Logger) (<-chan struct{}, func()) {
	return system{}.watchSleep(log)
}

// A cable is a LAN of namespaces around a hub, at which a judge listens to raw
// frames and sends its own. Hosts have 10.53.0.N and fe80 addresses; the judge
// is 10.53.0.99.
type cable struct {
	t       *testing.T
	hub     *netnstest.NS
	ports   int
	mac     net.HardwareAddr
	linkloc netip.Addr // the judge's, IPv6
	*frames
}

var judgeIPv4 = netip.MustParseAddr("10.53.0.99")

func newCable(t *testing.T) *cable {
	t.Helper()
	c := &cable{t: t, hub: netnstest.New(t)}
	quickIPv6(c.hub)
	c.hub.Bridge("br0")
	c.hub.Addr("br0", "10.53.0.99/24")
	ifi := c.hub.Interface("br0")
	c.mac = ifi.HardwareAddr
	c.linkloc = linkLocal(c.hub, "br0")
	c.frames = sniff(t, c.hub, ifi.Index, c.mac)
	return c
}

// quickIPv6 makes IPv6 addresses usable at once: nobody else has them.
func quickIPv6(ns *netnstest.NS) {
	ns.Do(func() {
		for _, which := range []string{"all", "default"} {
			_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+which+"/accept_dad", []byte("0"), 0o644)
		}
	})
}

func linkLocal(ns *netnstest.NS, name string) netip.Addr {
	var found netip.Addr
	ns.Do(func() {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			return
		}
		addrs, _ := ifi.Addrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
				found = p.Addr()
			}
		}
	})
	return found
}

// A device is a namespace plugged into the cable by its eth0.
type device struct {
	*netnstest.NS
	t    *testing.T
	addr netip.Addr
	port string // of the hub
}

func (c *cable) device(n byte) *device {
	c.t.Helper()
	d := &device{NS: netnstest.New(c.t), t: c.t, addr: netip.AddrFrom4([4]byte{10, 53, 0, n})}
	quickIPv6(d.NS)
	c.ports++
	d.port = "port" + string(rune('0'+c.ports))
	netnstest.Veth(c.t, c.hub, d.port, d.NS, "eth0")
	c.hub.Enslave("br0", d.port)
	d.Addr("eth0", d.addr.String()+"/24")
	return d
}

// interfaces reads what the device has now.
func (d *device) interfaces() (list []Interface) {
	d.t.Helper()
	d.Do(func() {
		var err error
		if list, err = SystemInterfaces(); err != nil {
			d.t.Error(err)
		}
	})
	return list
}

// mac is the hardware address of eth0.
func (d *device) mac() net.HardwareAddr { return d.Interface("eth0").HardwareAddr }

// run starts a responder on the device.
func (d *device) run(cfg Config) *machine {
	d.t.Helper()
	cfg.platform = inNamespace{d.NS}
	if cfg.Name == "" {
		cfg.Name = "server22"
	}
	if cfg.Interfaces == nil {
		cfg.Interfaces = d.interfaces()
	}
	r, err := New(cfg)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		if err := r.Run(ctx); err != nil {
			d.t.Error(err)
		}
	})
	m := &machine{Responder: r, stop: func() { cancel(); run.Wait() }}
	d.t.Cleanup(m.stop)
	return m
}

// waitHeld waits until every name is held on every link.
func (m *machine) waitHeld(t *testing.T) {
	t.Helper()
	netnstest.Eventually(t, 10*time.Second, "all names to be held", func() bool {
		s := m.State()
		return len(s.Names) > 0 && !slices.ContainsFunc(s.Names, func(n NameState) bool { return !n.Held })
	})
}

// frames are what was on the cable.
type frames struct {
	t      *testing.T
	fd     int
	index  int
	mac    net.HardwareAddr
	reader sync.WaitGroup

	mu    sync.Mutex // guards all following fields
	heard []frame
}

// A frame is a multicast DNS packet, or an answer to one, as it was on the
// cable.
type frame struct {
	at       time.Time
	from, to netip.AddrPort
	ttl      byte
	size     int
	msg      *dns.Msg
}

// sniff listens to all frames of an interface but those that the judge sends.
func sniff(t *testing.T, ns *netnstest.NS, index int, mac net.HardwareAddr) *frames {
	t.Helper()
	f := &frames{t: t, index: index, mac: mac}
	ns.Do(func() {
		var err error
		f.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(htons(unix.ETH_P_ALL)))
		if err == nil {
			err = unix.Bind(f.fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: index})
		}
		if err != nil {
			t.Fatalf("opening a packet socket: %v", err)
		}
	})
	file := os.NewFile(uintptr(f.fd), "packets")
	f.reader.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := file.Read(buf)
			if err != nil {
				return
			}
			f.take(buf[:n])
		}
	})
	t.Cleanup(func() { file.Close(); f.reader.Wait() })
	return f
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

func (f *frames) take(b []byte) {
	at := time.Now()
	if len(b) < 14 || slices.Equal(b[6:12], f.mac) {
		return
	}
	var fr frame
	var udp []byte
	var src, dst netip.Addr
	switch ip := b[14:]; binary.BigEndian.Uint16(b[12:]) {
	case unix.ETH_P_IP:
		if len(ip) < 20 || ip[9] != unix.IPPROTO_UDP {
			return
		}
		fr.ttl = ip[8]
		src, _ = netip.AddrFromSlice(ip[12:16])
		dst, _ = netip.AddrFromSlice(ip[16:20])
		udp = ip[int(ip[0]&15)*4:]
	case unix.ETH_P_IPV6:
		if len(ip) < 40 || ip[6] != unix.IPPROTO_UDP {
			return
		}
		fr.ttl = ip[7]
		src, _ = netip.AddrFromSlice(ip[8:24])
		dst, _ = netip.AddrFromSlice(ip[24:40])
		udp = ip[40:]
	default:
		return
	}
	if len(udp) < 8 {
		return
	}
	fr.at = at
	fr.from = netip.AddrPortFrom(src, binary.BigEndian.Uint16(udp))
	fr.to = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(udp[2:]))
	payload := udp[8:min(int(binary.BigEndian.Uint16(udp[4:])), len(udp))]
	fr.size = len(payload)
	if fr.from.Port() != port && fr.to.Port() != port {
		return
	}
	fr.msg = new(dns.Msg)
	if err := fr.msg.Unpack(payload); err != nil {
		f.t.Errorf("a packet that miekg/dns cannot read: %v\n%x", err, payload)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = append(f.heard, fr)
}

func (f *frames) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = nil
}

// where returns the frames heard so far for which ok holds.
func (f *frames) where(ok func(frame) bool) []frame {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []frame
	for _, fr := range f.heard {
		if ok(fr) {
			list = append(list, fr)
		}
	}
	return list
}

func isResponse(fr frame) bool { return fr.msg.Response }
func isProbe(fr frame) bool    { return !fr.msg.Response && len(fr.msg.Ns) > 0 }

// await waits for a frame.
func (f *frames) await(limit time.Duration, ok func(frame) bool) frame {
	f.t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if found := f.where(ok); len(found) > 0 {
			return found[0]
		}
	}
	f.t.Fatalf("nothing heard within %v", limit)
	return frame{}
}

// silence fails if a response is heard meanwhile.
func (f *frames) silence(d time.Duration) {
	f.t.Helper()
	time.Sleep(d)
	for _, fr := range f.where(isResponse) {
		f.t.Errorf("a response to %v where none should be:\n%v", fr.to, fr.msg)
	}
}

// A letter is a UDP packet that the judge makes up.
type letter struct {
	from, to netip.AddrPort
	mac      net.HardwareAddr // of the receiver; nil for a group
	payload  []byte
}

// post puts a packet onto the cable, whatever its addresses say.
func (f *frames) post(l letter) {
	f.t.Helper()
	src, dst := l.from.Addr().AsSlice(), l.to.Addr().AsSlice()
	udp := make([]byte, 8, 8+len(l.payload))
	binary.BigEndian.PutUint16(udp, l.from.Port())
	binary.BigEndian.PutUint16(udp[2:], l.to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(l.payload)))
	udp = append(udp, l.payload...)
	pseudo := slices.Concat(src, dst, []byte{0, unix.IPPROTO_UDP}, udp[4:6], udp)
	binary.BigEndian.PutUint16(udp[6:], checksum(pseudo))

	var ip []byte
	group := []byte{0x01, 0x00, 0x5e, dst[1] & 0x7f, dst[2], dst[3]}
	ether := []byte{0x08, 0x00}
	if l.to.Addr().Is4() {
		ip = make([]byte, 12)
		ip[0], ip[8], ip[9] = 0x45, 255, unix.IPPROTO_UDP
		binary.BigEndian.PutUint16(ip[2:], uint16(20+len(udp)))
		ip = slices.Concat(ip, src, dst)
		binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	} else {
		ip = make([]byte, 8)
		ip[0], ip[6], ip[7] = 0x60, unix.IPPROTO_UDP, 255
		binary.BigEndian.PutUint16(ip[4:], uint16(len(udp)))
		ip = slices.Concat(ip, src, dst)
		group = slices.Concat([]byte{0x33, 0x33}, dst[12:])
		ether = []byte{0x86, 0xdd}
	}
	to := []byte(l.mac)
	if to == nil {
		to = group
	}
	packet := slices.Concat(to, f.mac, ether, ip, udp)
	if err := unix.Sendto(f.fd, packet, 0, &unix.SockaddrLinklayer{Ifindex: f.index}); err != nil {
		f.t.Fatalf("sending a frame: %v", err)
	}
}

func checksum(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// ask multicasts a message from the judge's port 5353 over IPv4.
func (c *cable) ask(msg *dns.Msg) {
	c.askFrom(netip.AddrPortFrom(judgeIPv4, port), ipv4.group(), nil, msg)
}

func (c *cable) askFrom(from, to netip.AddrPort, mac net.HardwareAddr, msg *dns.Msg) {
	c.t.Helper()
	b, err := msg.Pack()
	if err != nil {
		c.t.Fatal(err)
	}
	c.post(letter{from, to, mac, b})
}

// defend lets the judge hold a name until stop is called.
func (c *cable) defend(name string, addr netip.Addr) (stop func()) {
	quit := make(chan struct{})
	var run sync.WaitGroup
	run.Go(func() {
		seen := make(map[time.Time]bool)
		for {
			select {
			case <-quit:
				return
			case <-time.After(5 * time.Millisecond):
			}
			for _, fr := range c.where(isProbe) {
				if !seen[fr.at] && slices.ContainsFunc(fr.msg.Question, func(q dns.Question) bool { return dns.CanonicalName(q.Name) == name }) {
					seen[fr.at] = true
					c.ask(flushed(response(name + " 120 IN A " + addr.String())))
				}
			}
		}
	})
	return func() { close(quit); run.Wait() }
}

// attach plugs a further interface of a device into the hub.
func (c *cable) attach(d *device, name, cidr string) {
	c.t.Helper()
	c.ports++
	p := "port" + string(rune('0'+c.ports))
	netnstest.Veth(c.t, c.hub, p, d.NS, name)
	c.hub.Enslave("br0", p)
	d.Addr(name, cidr)
}

type netSocket = *net.UDPConn

// listenExclusively takes port 5353 as a program that shares it with nobody.
func listenExclusively(t *testing.T) netSocket {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{Port: port})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
