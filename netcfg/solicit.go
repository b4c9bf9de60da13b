package netcfg

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/mdlayher/ndp"
)

const (
	// solicitations and solicitGap are MAX_RTR_SOLICITATIONS and
	// RTR_SOLICITATION_INTERVAL of RFC 4861 §10.
	solicitations = 3
	solicitGap    = 4 * time.Second
)

// solicit asks the routers for advertisements, once per connection: where the
// link was up before us the kernel has had its answer already, and has not kept
// the name servers that were in it.
func (a *attachment) solicit() {
	ready := slices.ContainsFunc(a.now.Addrs, func(addr Addr) bool {
		return addr.Prefix.Addr().Is6() && addr.Prefix.Addr().IsLinkLocalUnicast() && addr.Usable()
	})
	if a.soliciting != nil || !ready || a.connected == nil || a.c.config.ResolvConf == "" {
		return
	}
	a.soliciting = a.c.start(func(ctx context.Context) {
		for range solicitations {
			if link, _ := a.c.watcher.Latest().LinkByIndex(a.ifi.Index); len(link.RouterDNS.Servers) > 0 {
				return
			}
			if err := a.sendSolicitation(); err != nil {
				a.c.config.Logger.Debug("cannot solicit routers", "iface", a.ifi.Name, "err", err)
			}
			if !sleep(ctx, solicitGap) {
				return
			}
		}
	})
}

func (a *attachment) sendSolicitation() error {
	conn, _, err := ndp.Listen(a.ifi, ndp.LinkLocal)
	if err != nil {
		return err
	}
	defer conn.Close()
	solicitation := &ndp.RouterSolicitation{Options: []ndp.Option{
		&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: a.ifi.HardwareAddr},
	}}
	return conn.WriteTo(solicitation, nil, netip.IPv6LinkLocalAllRouters())
}
