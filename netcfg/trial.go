package netcfg

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"server22.local/appliance/netcfg/acd"
)

// Trial is a change of settings that reverts by itself unless it is confirmed
// in time: whoever cut themselves off need only wait.
type Trial struct {
	ID       string    `json:"id"`
	Settings Settings  `json:"settings"`
	Deadline time.Time `json:"deadline"`
}

// trial is one that is going on.
type trial struct {
	Trial
	before   Settings
	deadline time.Time // with the monotonic clock, unlike Deadline
	gateway  *job
}

// Errors of trials.
var (
	ErrTrialRunning = errors.New("another change is on trial; confirm or revert it first")
	ErrNoTrial      = errors.New("no such change is on trial; it may have been reverted")
	// ErrOldAddress is the error of confirming over an address that the change
	// did not bring about: it would prove nothing.
	ErrOldAddress = errors.New("confirm over an address that the interface has after the change")
)

// Try puts settings into force until they are confirmed or the time is over.
// The trial is written to the state folder first: after a crash or a power cut
// in between the configured settings are in force again.
func (c *Configurator) Try(ctx context.Context, settings Settings, limit time.Duration) (Trial, error) {
	settings = settings.withDefaults()
	if err := settings.Validate(); err != nil {
		return Trial{}, fmt.Errorf("trying settings: %w", err)
	}
	var begun Trial
	err := c.do(ctx, func() error {
		if c.trial != nil {
			return ErrTrialRunning
		}
		deadline := time.Now().Add(limit)
		begun = Trial{ID: rand.Text(), Settings: settings, Deadline: deadline.Round(0)}
		if err := c.writeTrial(begun); err != nil {
			return err
		}
		c.trial = &trial{Trial: begun, before: c.settings, deadline: deadline}
		c.config.Logger.Info("settings on trial", "for", limit)
		c.use(settings)
		c.lookAfter(limit)
		c.trial.gateway = c.start(c.watchGateway(c.trial))
		return nil
	})
	if err != nil {
		return Trial{}, fmt.Errorf("trying settings: %w", err)
	}
	return begun, nil
}

// Confirm makes the settings on trial permanent. Via is the local address that
// the confirmation came in on; the zero value stands for the machine itself
// (its console or a Unix socket), which is always believed.
func (c *Configurator) Confirm(ctx context.Context, id string, via netip.Addr) error {
	err := c.do(ctx, func() error {
		if c.trial == nil || c.trial.ID != id {
			return ErrNoTrial
		}
		if via.IsValid() && !via.IsLoopback() && !c.hasAddr(via.Unmap().WithZone("")) {
			return ErrOldAddress
		}
		if c.config.Commit != nil {
			if err := c.config.Commit(c.trial.Settings); err != nil {
				return fmt.Errorf("making the settings permanent: %w", err)
			}
		}
		c.config.Logger.Info("settings confirmed")
		defer c.publish() // whoever confirmed looks at once
		return c.endTrial()
	})
	if err != nil {
		return fmt.Errorf("confirming settings: %w", err)
	}
	return nil
}

// Revert ends a trial and puts the settings before it into force.
func (c *Configurator) Revert(ctx context.Context, id string) error {
	err := c.do(ctx, func() error {
		if c.trial == nil || c.trial.ID != id {
			return ErrNoTrial
		}
		return c.revert("on request")
	})
	if err != nil {
		return fmt.Errorf("reverting settings: %w", err)
	}
	return nil
}

// Reconfigure puts settings into force that are permanent already: the
// configuration was changed and read again. A trial ends by it.
// Where nothing differs nothing happens.
func (c *Configurator) Reconfigure(ctx context.Context, settings Settings, hostname string) error {
	settings = settings.withDefaults()
	if err := settings.Validate(); err != nil {
		return fmt.Errorf("configuring the network: %w", err)
	}
	err := c.do(ctx, func() error {
		unchanged := c.trial == nil && reflect.DeepEqual(settings, c.settings) && hostname == c.config.Hostname
		if unchanged {
			return nil
		}
		err := c.endTrial()
		c.renamed = hostname != c.config.Hostname
		c.config.Hostname, c.config.Settings = hostname, settings
		c.use(settings)
		c.renamed = false
		return err
	})
	if err != nil {
		return fmt.Errorf("configuring the network: %w", err)
	}
	return nil
}

// use puts settings into force.
func (c *Configurator) use(settings Settings) {
	if c.link != nil {
		c.link.disconnect()
		c.link = nil
	}
	c.leaving = c.settings.Mode != ModeObserve
	c.settings = settings
	c.look(c.watcher.Latest())
}

// checkTrial reverts when the time is over.
func (c *Configurator) checkTrial() {
	if c.trial != nil && !time.Now().Before(c.trial.deadline) {
		if err := c.revert("nobody confirmed them in time"); err != nil {
			c.config.Logger.Warn("cannot end the trial", "err", err)
		}
	}
}

func (c *Configurator) revert(why string) error {
	before := c.trial.before
	c.config.Logger.Warn("settings reverted", "because", why)
	c.lastRevert = why
	err := c.endTrial()
	c.use(before)
	return err
}

func (c *Configurator) endTrial() error {
	if c.trial == nil {
		return nil
	}
	c.trial.gateway.abandon() // it may be the one who asks
	c.trial = nil
	return c.removeTrial()
}

// hasAddr looks at the kernel, which may be newer than the last snapshot.
func (c *Configurator) hasAddr(addr netip.Addr) bool {
	snapshot, err := observe(c.kernel, "")
	if err != nil || c.link == nil {
		return false
	}
	link, _ := snapshot.LinkByIndex(c.link.now.Index)
	for _, a := range link.Addrs {
		if a.Prefix.Addr() == addr && a.Usable() {
			return true
		}
	}
	return false
}

const (
	// gatewayTime is how long the gateway of settings on trial may be silent.
	gatewayTime = 15 * time.Second
	gatewayPace = time.Second
)

// watchGateway reverts a trial early if its gateway never answers ARP: nobody
// beyond it could confirm.
func (c *Configurator) watchGateway(t *trial) func(context.Context) {
	var gateway netip.Addr
	for _, addr := range t.Settings.Static.Gateways {
		if addr.Is4() && t.Settings.Mode == ModeStatic {
			gateway = addr
		}
	}
	a := c.link
	return func(ctx context.Context) {
		if !gateway.IsValid() || a == nil {
			return
		}
		for end := time.Now().Add(gatewayTime); time.Now().Before(end); {
			if _, err := acd.Resolve(ctx, a.ifi, netip.IPv4Unspecified(), gateway); err == nil || !sleep(ctx, gatewayPace) {
				return
			}
		}
		_ = c.do(ctx, func() error {
			if c.trial != t {
				return nil
			}
			return c.revert(fmt.Sprintf("the gateway %v does not answer", gateway))
		})
	}
}

func (c *Configurator) trialPath() string { return filepath.Join(c.config.StateDir, "trial.json") }

func (c *Configurator) writeTrial(t Trial) error {
	if c.config.StateDir == "" {
		return nil
	}
	data, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.config.StateDir, 0o755); err != nil {
		return err
	}
	return replaceFile(c.trialPath(), append(data, '\n'))
}

func (c *Configurator) removeTrial() error {
	if c.config.StateDir == "" {
		return nil
	}
	if err := os.Remove(c.trialPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// resumeTrial ends a trial that a crash or a restart interrupted: what was on
// trial is not in the configuration, so that ending it is reverting it.
func (c *Configurator) resumeTrial() {
	if c.config.StateDir == "" {
		return
	}
	if _, err := os.Stat(c.trialPath()); err != nil {
		return
	}
	c.lastRevert = "the program ended before they were confirmed"
	c.leaving = true
	c.config.Logger.Warn("settings reverted", "because", c.lastRevert)
	if err := c.removeTrial(); err != nil {
		c.config.Logger.Warn("cannot end the trial", "err", err)
	}
}
