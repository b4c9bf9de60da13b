package netcfg

import "time"

// reconcile compares what should be with what is, and changes what differs.
func (c *Configurator) reconcile() error {
	defer c.publish()
	if c.link != nil {
		c.link.considerLinkLocal()
	}
	if !c.configures() {
		if c.leaving && c.link != nil {
			c.leaving = false
			c.letGo(c.link)
		}
		return nil
	}
	c.leaving = false
	observed, err := observe(c.kernel, observedResolvConf(c.config))
	if err != nil {
		return err
	}
	desired := c.desired(observed)
	changes := Plan(desired, observed)
	if len(changes) > 0 && c.quarrel.tooHot(time.Now()) {
		c.lookAfter(quarrelPause)
		return errQuarrel
	}
	for _, change := range changes {
		c.config.Logger.Info("network change", "change", change.String())
	}
	if err := c.files.save(c.record(desired)); err != nil { // before it is done, lest a crash come between
		c.config.Logger.Warn("cannot keep the state", "err", err)
	}
	err = Apply(c.kernel, changes)
	c.logOnce(&c.failing, "cannot change the network", err)
	c.writeResolver()
	return err
}

// letGo removes what is ours from an interface that somebody else configures
// now, except a leased address.
func (c *Configurator) letGo(a *attachment) {
	observed, err := observe(c.kernel, "")
	if err != nil {
		return
	}
	desired := Desired{Link: a.now.Name, Index: a.now.Index}
	if a.lease != nil && !a.lease.Expired() {
		desired.addLease(a.lease, 0)
		desired.Routes = nil
	}
	c.logOnce(&c.failing, "cannot let go of the network", Apply(c.kernel, Plan(desired, observed)))
	c.resolve(nameService{})
}

// configures says whether the settings and the owner let us change anything.
func (c *Configurator) configures() bool {
	return c.settings.Mode != ModeObserve && (c.link == nil || c.link.owner == nil)
}

// desired is what the interface should be like now.
func (c *Configurator) desired(observed *Snapshot) Desired {
	if c.link == nil {
		return Desired{}
	}
	return c.link.desired(observed, c.files.last)
}

// record is what must be known after a crash.
func (c *Configurator) record(desired Desired) state {
	s := c.files.last
	if c.link == nil {
		return s
	}
	if s.Link != desired.Link {
		s = state{Link: desired.Link, LinkLocal: s.LinkLocal}
	}
	s.Addrs = nil
	for _, addr := range desired.Addrs {
		s.Addrs = append(s.Addrs, addr.Prefix)
	}
	s.MTU = c.link.originalMTU
	if c.link.linkLocal.IsValid() {
		s.LinkLocal = c.link.linkLocal
	}
	return s
}

// logOnce logs an error when it comes or changes, and its end.
func (c *Configurator) logOnce(last *string, what string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == *last {
		return
	}
	if *last = text; err != nil {
		c.config.Logger.Warn(what, "err", err)
	}
}
