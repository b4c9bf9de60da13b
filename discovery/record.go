package discovery

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"server22.local/appliance/discovery/internal/wire"
)

// Times to live in seconds (RFC 6762 §10): records that depend on the host's
// name or addresses are short-lived, and so is what a legacy resolver may
// keep (§6.7).
const (
	ttlHost   = 120
	ttlOther  = 75 * 60
	ttlLegacy = 10
)

const (
	classFlush = wire.ClassIN | 1<<15 // with the cache-flush bit (§10.2)
	classQU    = wire.ClassIN | 1<<15 // with the unicast-response bit (§5.4)
)

// A sort of record differs from others in how it is claimed and withdrawn.
type sort int

const (
	// unique records are probed for: nobody else may have the name.
	unique sort = iota
	// derived ones are unique by what they say, as the name of an address,
	// and need no probe.
	derived
	// shared ones stand beside those of other hosts under the same name.
	shared
	// advisory ones are shared, and other hosts may have the very same: they
	// expire, and are not withdrawn.
	advisory
	// negative ones say what does not exist at a unique name (§6.1). They are
	// made up for an answer and never announced.
	negative
)

// flush says whether the record's set is complete, so that caches may forget
// all else (§10.2).
func (s sort) flush() bool { return s != shared && s != advisory }

// A record is one resource record of a link, with what the link has to
// remember of it.
type record struct {
	name wire.Name
	key  wire.Name // folded
	typ  uint16
	ttl  uint32
	data []byte // uncompressed
	sort sort

	// claims are the names that it exists for; one that is held is enough.
	claims []*claim

	sent      time.Time // when it was last multicast
	due       time.Time // when it answers a question by multicast; or zero
	ready     time.Time // from when on it may, if another record is sent then
	announce  time.Time // when it is announced next; or zero
	remaining int       // announcements after that
	known     uint64    // the last query whose sender knew it
}

// live says whether the record may be told to others.
func (r *record) live() bool {
	return slices.ContainsFunc(r.claims, func(c *claim) bool { return c.phase == Held && !c.trial })
}

// answers says whether the record answers a question for that type.
func (r *record) answers(typ uint16) bool {
	return r.typ == typ || typ == wire.TypeANY && r.sort != negative
}

// same says whether the two are the same record, to be told only once.
func (r *record) same(o *record) bool {
	return r.typ == o.typ && r.key == o.key && wire.SameData(r.typ, r.data, o.data)
}

// class is how it is written into answers by multicast and QU.
func (r *record) class() uint16 {
	if r.sort.flush() {
		return classFlush
	}
	return wire.ClassIN
}

// told is the class and the TTL that it is written with, but for goodbyes and
// legacy answers.
func (r *record) told() (class uint16, ttl uint32) { return r.class(), r.ttl }

// A zone is a link's records by folded name.
type zone map[wire.Name][]*record

// add puts in a record unless it is there; then it only gets one more claim.
func (z zone) add(r *record) {
	r.key = r.name.Fold()
	for _, o := range z[r.key] {
		if o.same(r) {
			o.claims = append(o.claims, r.claims...)
			return
		}
	}
	z[r.key] = append(z[r.key], r)
}

// find returns the record that equals r.
func (z zone) find(r *record) *record {
	for _, o := range z[r.key] {
		if o.same(r) {
			return o
		}
	}
	return nil
}

// set calls f for each live record of the same name and type as r: those that
// can only be told together, if r is unique.
func (z zone) set(r *record, f func(*record)) {
	for _, o := range z[r.key] {
		if o.typ == r.typ && o.live() {
			f(o)
		}
	}
}

// hostRecords are the addresses of an interface at a name, and the denial of
// all other types.
func hostRecords(z zone, name wire.Name, c *claim, addrs []netip.Prefix) {
	var types []uint16
	for _, p := range addrs {
		typ, data := addressData(p.Addr())
		types = append(types, typ)
		z.add(&record{name: name, typ: typ, ttl: ttlHost, data: data, claims: []*claim{c}})
	}
	deny(z, name, c, ttlHost, types...)
}

func addressData(addr netip.Addr) (typ uint16, data []byte) {
	if addr.Is4() {
		return wire.TypeA, addr.AsSlice()
	}
	return wire.TypeAAAA, addr.AsSlice()
}

// reverseRecords name the addresses of an interface (§4).
func reverseRecords(z zone, host wire.Name, c *claim, addrs []netip.Prefix) {
	for _, p := range addrs {
		name := reverse(p.Addr())
		z.add(&record{name: name, typ: wire.TypePTR, ttl: ttlHost, data: []byte(host), sort: derived, claims: []*claim{c}})
		deny(z, name, c, ttlHost, wire.TypePTR)
	}
}

// reverse is the name under which an address is looked up.
func reverse(addr netip.Addr) wire.Name {
	const hex = "0123456789abcdef"
	var labels []string
	b := addr.AsSlice()
	slices.Reverse(b)
	for _, octet := range b {
		if addr.Is4() {
			labels = append(labels, strconv.Itoa(int(octet)))
		} else {
			labels = append(labels, hex[octet&15:][:1], hex[octet>>4:][:1])
		}
	}
	if addr.Is4() {
		return wire.MustName(append(labels, reverseIPv4...)...)
	}
	return wire.MustName(append(labels, reverseIPv6...)...)
}

// aliasRecords point one name at another.
func aliasRecords(z zone, name, host wire.Name, c *claim) {
	z.add(&record{name: name, typ: wire.TypeCNAME, ttl: ttlHost, data: []byte(host), claims: []*claim{c}})
	deny(z, name, c, ttlHost, wire.TypeCNAME)
}

// serviceRecords are those of RFC 6763 for one instance.
func serviceRecords(z zone, s Service, instance, host wire.Name, c *claim) {
	claims := []*claim{c}
	srv := binary.BigEndian.AppendUint16(make([]byte, 4), s.Port) // priority and weight 0
	srv = append(srv, host...)
	z.add(&record{name: instance, typ: wire.TypeSRV, ttl: ttlHost, data: srv, claims: claims})
	z.add(&record{name: instance, typ: wire.TypeTXT, ttl: ttlOther, data: s.data(), claims: claims})
	deny(z, instance, c, ttlOther, wire.TypeSRV, wire.TypeTXT)

	labels := s.typeLabels()
	typ := wire.MustName(labels...)
	z.add(&record{name: typ, typ: wire.TypePTR, ttl: ttlOther, data: []byte(instance), sort: shared, claims: claims})
	for _, sub := range s.Subtypes {
		name := wire.MustName(append([]string{sub, "_sub"}, labels...)...)
		z.add(&record{name: name, typ: wire.TypePTR, ttl: ttlOther, data: []byte(instance), sort: shared, claims: claims})
	}
	z.add(&record{name: dnssd, typ: wire.TypePTR, ttl: ttlOther, data: []byte(typ), sort: advisory, claims: claims})
}

// deny adds the NSEC record that says that a name has these types only, in the
// restricted form of §6.1: the next name is the name itself, and there is one
// block of bits, for types up to 255.
func deny(z zone, name wire.Name, c *claim, ttl uint32, types ...uint16) {
	var bits [32]byte
	length := 0
	for _, t := range types {
		bits[t/8] |= 0x80 >> (t % 8)
		length = max(length, int(t/8)+1)
	}
	data := append([]byte(name), 0, byte(length))
	data = append(data, bits[:length]...)
	z.add(&record{name: name, typ: wire.TypeNSEC, ttl: ttl, data: data, sort: negative, claims: []*claim{c}})
}
