package netcfg

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// nameService is what goes into the resolver file.
type nameService struct {
	servers []netip.Addr
	search  []string
}

// add appends what is not there yet.
func (n *nameService) add(servers []netip.Addr, search []string) {
	for _, server := range servers {
		if !slices.Contains(n.servers, server) {
			n.servers = append(n.servers, server)
		}
	}
	for _, domain := range search {
		if domain = strings.TrimSuffix(domain, "."); domain != "" && !slices.Contains(n.search, domain) {
			n.search = append(n.search, domain)
		}
	}
}

func (n *nameService) empty() bool { return len(n.servers) == 0 && len(n.search) == 0 }

// file is the text of resolv.conf(5).
func (n *nameService) file() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, resolverMark)
	if len(n.search) > 0 {
		fmt.Fprintln(&b, "search", strings.Join(n.search, " "))
	}
	for _, server := range n.servers[:min(len(n.servers), maxServers)] {
		fmt.Fprintln(&b, "nameserver", server)
	}
	return b.Bytes()
}

func (n *nameService) same(other nameService) bool {
	return slices.Equal(n.servers, other.servers) && slices.Equal(n.search, other.search)
}

// settled says that what the interface has now is not just the beginning.
func (a *attachment) settled() bool {
	return a.c.settings.Mode != ModeDHCP || a.leased || a.linkLocal.IsValid()
}

// nameService is what the resolver file should say.
func (a *attachment) nameService() (n nameService) {
	if a.c.settings.Mode == ModeStatic {
		n.add(a.c.settings.Static.DNS, a.c.settings.Static.Search)
	}
	if a.lease != nil {
		search := a.lease.Search
		if len(search) == 0 && a.lease.Domain != "" {
			search = []string{a.lease.Domain}
		}
		n.add(a.lease.DNS, search)
	}
	n.add(a.now.RouterDNS.Servers, a.now.RouterDNS.Search)
	return n
}

// writeResolver brings the resolver file up to date. As long as it is not known
// what will come, the file of the last run stays.
func (c *Configurator) writeResolver() {
	if c.link == nil {
		return
	}
	if names := c.link.nameService(); !names.empty() || c.link.settled() {
		c.resolve(names)
	}
}

// resolve brings the names to whoever resolves here: to the resolver file, and
// to systemd-resolved where that file is its.
func (c *Configurator) resolve(names nameService) {
	if c.config.ResolvConf == "" {
		return
	}
	err := c.resolver.write(names)
	managed, ok := errors.AsType[*ManagedError](err)
	theirs := ok && managed.Manager == systemdResolved
	if c.link != nil && (theirs || managerOfLink(c.config.SystemResolver) == systemdResolved) {
		c.tellResolved(names)
	}
	if theirs || ok && names.empty() { // where we have nothing to say, nothing is wrong
		err = nil
	}
	c.logOnce(&c.unwritten, "cannot write the resolver file", err)
	if errors.Is(err, errQuarrel) {
		c.lookAfter(quarrelPause)
	}
}
