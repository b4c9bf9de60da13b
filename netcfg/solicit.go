package netcfg

import (
	"net/netip"
	"slices"

	"github.com/mdlayher/ndp"
)

// solicit asks the routers for an advertisement, once per connection: where the
// link was up before us the kernel has had its answer already, and has not kept
// the name servers that were in it.
func (a *attachment) solicit() {
	ready := slices.ContainsFunc(a.now.Addrs, func(addr Addr) bool {
		return addr.Prefix.Addr().Is6() && addr.Prefix.Addr().IsLinkLocalUnicast() && addr.Usable()
	})
	if a.solicited || !ready || a.connected == nil || a.c.config.ResolvConf == "" {
		return
	}
	a.solicited = true
	conn, _, err := ndp.Listen(a.ifi, ndp.LinkLocal)
	if err != nil {
		a.c.config.Log.Debug("cannot solicit routers", "iface", a.ifi.Name, "err", err)
		return
	}
	defer conn.Close()
	solicitation := &ndp.RouterSolicitation{Options: []ndp.Option{
		&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: a.ifi.HardwareAddr},
	}}
	if err := conn.WriteTo(solicitation, nil, netip.IPv6LinkLocalAllRouters()); err != nil {
		a.c.config.Log.Debug("cannot solicit routers", "iface", a.ifi.Name, "err", err)
	}
}
