package netcfg

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"server22.local/appliance/netcfg/acd"
	"server22.local/appliance/netcfg/dhcp4"
)

func (a *attachment) runDHCP(ctx context.Context, start dhcp4.Start) {
	for ctx.Err() == nil {
		if err := a.dhcp.Run(ctx, start); err != nil {
			a.c.config.Logger.Warn("the DHCP client failed; starting it again", "iface", a.ifi.Name, "err", err)
			sleep(ctx, 10*time.Second)
		}
	}
}

func (a *attachment) dhcpConfig() dhcp4.Config {
	id, _ := dhcp4.ClientID(a.c.settings.ClientID, a.now.MAC) // validated by New
	config := dhcp4.Config{
		MAC: a.now.MAC, ClientID: id, Hostname: a.c.config.Hostname, InUse: a.lease, Discover: a.c.renamed,
		Logger:    a.c.config.Logger.With("iface", a.now.Name),
		Listen:    func(ctx context.Context) (dhcp4.Conn, error) { return dhcp4.Listen(ctx, a.ifi) },
		ListenARP: a.listenARP,
		Neighbour: a.neighbour,
		Bind:      a.bindLease,
	}
	if a.c.config.StateDir != "" {
		config.Store = dhcp4.FileStore(a.c.leasePath(a.now.Name))
	}
	return config
}

func (a *attachment) neighbour(ctx context.Context, from, router netip.Addr) (string, error) {
	mac, err := acd.Resolve(ctx, a.ifi, from, router)
	return MAC(mac).String(), err
}

// bindLease is called by the DHCP client.
func (a *attachment) bindLease(ctx context.Context, lease *dhcp4.Lease) error {
	return a.c.do(ctx, func() error {
		news := lease == nil || a.lease == nil || lease.Prefix != a.lease.Prefix || !a.confirmed
		a.lease, a.confirmed = lease, lease != nil
		a.leased = a.leased || lease != nil
		if news {
			a.checkRegistration(lease)
		}
		if lease == nil {
			return a.c.reconcile()
		}
		return a.reconcileFor(lease.Prefix)
	})
}

// Renew extends the lease now, or asks for one without waiting any longer.
func (c *Configurator) Renew(ctx context.Context) error {
	client, err := c.dhcpClient()
	if err != nil {
		return err
	}
	return client.Renew(ctx)
}

// Release gives the lease back; Renew gets another.
func (c *Configurator) Release(ctx context.Context) error {
	client, err := c.dhcpClient()
	if err != nil {
		return err
	}
	return client.Release(ctx)
}

// ErrNoDHCP is the error of commands to a DHCP client where there is none.
var ErrNoDHCP = errors.New("the interface is not configured by DHCP")

func (c *Configurator) dhcpClient() (*dhcp4.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == nil {
		return nil, ErrNoDHCP
	}
	return c.client, nil
}
