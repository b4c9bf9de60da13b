package llmnr

import (
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// ttl is how long an answer may be kept, in seconds (RFC 4795 §2.8).
const ttl = 30

// The header of LLMNR has other flags where DNS has AA and RD (§2.1.1): C for
// a conflict, T for a name that is not known to be unique yet.
func conflictBit(m *dns.Msg) bool  { return m.Authoritative }
func tentativeBit(m *dns.Msg) bool { return m.RecursionDesired }

// parseQuery reads a query, and refuses what must be discarded silently (§2.1.1).
func parseQuery(b []byte) (*dns.Msg, bool) {
	m := new(dns.Msg)
	if m.Unpack(b) != nil || m.Response || m.Opcode != dns.OpcodeQuery || m.Rcode != dns.RcodeSuccess || m.Truncated {
		return nil, false
	}
	return m, len(m.Question) == 1 && len(m.Answer) == 0 && len(m.Ns) == 0
}

// A zone is what is known on one link.
type zone struct {
	name      string // one label
	addresses []netip.Addr
}

// answer composes the response to a query, nil if it is not ours to give. It
// knows names without a domain, and those of its addresses (§2.3).
func (z zone) answer(query *dns.Msg) *dns.Msg {
	q := query.Question[0]
	if q.Qclass != dns.ClassINET && q.Qclass != dns.ClassANY {
		return nil
	}
	response := &dns.Msg{Compress: true}
	response.Id, response.Response = query.Id, true
	response.Question = query.Question
	switch {
	case z.isName(q.Name):
		response.Answer = z.hosts(q)
	case z.isReverse(q.Name):
		if q.Qtype == dns.TypePTR || q.Qtype == dns.TypeANY {
			response.Answer = []dns.RR{&dns.PTR{Hdr: header(q.Name, dns.TypePTR), Ptr: z.name + "."}}
		}
	default:
		return nil
	}
	return response
}

func (z zone) isName(name string) bool {
	return dns.CanonicalName(name) == dns.CanonicalName(z.name)
}

func (z zone) isReverse(name string) bool {
	if !strings.HasSuffix(dns.CanonicalName(name), ".arpa.") {
		return false
	}
	for _, addr := range z.addresses {
		if reverse, err := dns.ReverseAddr(addr.String()); err == nil && strings.EqualFold(reverse, name) {
			return true
		}
	}
	return false
}

// hosts are the records of our name of the type asked for: none of another
// type, which is an answer too, and spares the client its waiting.
func (z zone) hosts(q dns.Question) (records []dns.RR) {
	for _, addr := range z.addresses {
		typ := dns.TypeAAAA
		if addr.Is4() {
			typ = dns.TypeA
		}
		switch {
		case q.Qtype != typ && q.Qtype != dns.TypeANY:
		case typ == dns.TypeA:
			records = append(records, &dns.A{Hdr: header(q.Name, typ), A: net.IP(addr.AsSlice())})
		default:
			records = append(records, &dns.AAAA{Hdr: header(q.Name, typ), AAAA: net.IP(addr.AsSlice())})
		}
	}
	return records
}

func header(name string, typ uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: typ, Class: dns.ClassINET, Ttl: ttl}
}

// datagram is the response as it goes over UDP: what does not fit is left out,
// with the TC bit set, and asked for again over TCP (§2.1.1).
func datagram(query, response *dns.Msg) ([]byte, error) {
	size := dns.MinMsgSize
	if opt := query.IsEdns0(); opt != nil {
		size = min(max(size, int(opt.UDPSize())), maxDatagram)
	}
	response.Truncate(size)
	return response.Pack()
}
