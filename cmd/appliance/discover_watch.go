package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	names "server22.local/appliance/discovery"
	"server22.local/appliance/discovery/browse"
)

// lookAtInterfaces is how often new interfaces are looked for.
const lookAtInterfaces = 5 * time.Second

// watchServices prints what comes and goes until it is interrupted.
func (inv *invocation) watchServices(ctx context.Context, d discovery) error {
	interfaces, err := names.SystemInterfaces()
	if err != nil {
		return err
	}
	browser, err := browse.New(browse.Config{
		Type: d.typ, Interfaces: interfaces,
		Logger: slog.New(slog.NewTextHandler(inv.err, nil)),
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return browser.Run(ctx) })
	group.Go(func() error { return followInterfaces(ctx, browser) })
	group.Go(func() error {
		var before []browse.Service
		for services := range browser.Watch(ctx) {
			services = d.appliances(services)
			for _, c := range changes(before, services) {
				if err := inv.printChange(c, d); err != nil {
					return err
				}
			}
			before = services
		}
		return nil
	})
	return group.Wait()
}

func followInterfaces(ctx context.Context, browser *browse.Browser) error {
	ticks := time.NewTicker(lookAtInterfaces)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
			if interfaces, err := names.SystemInterfaces(); err == nil {
				browser.SetInterfaces(interfaces)
			}
		}
	}
}

// A change is one line of the output.
type change struct {
	Event   string         `json:"event"` // found, changed or gone
	Service browse.Service `json:"service"`
}

// signs stand before the lines for people.
var signs = map[string]string{"found": "+", "changed": "~", "gone": "-"}

func changes(before, after []browse.Service) (list []change) {
	find := func(in []browse.Service, s browse.Service) int {
		return slices.IndexFunc(in, func(o browse.Service) bool { return o.Instance == s.Instance })
	}
	for _, s := range before {
		if find(after, s) < 0 {
			list = append(list, change{"gone", s})
		}
	}
	for _, s := range after {
		switch i := find(before, s); {
		case i < 0:
			list = append(list, change{"found", s})
		case !before[i].Equal(s):
			list = append(list, change{"changed", s})
		}
	}
	return list
}

func (inv *invocation) printChange(c change, d discovery) error {
	if d.json {
		return json.NewEncoder(inv.out).Encode(c)
	}
	_, err := fmt.Fprintf(inv.out, "%s %s  %s  %s  %s\n", signs[c.Event],
		printable(c.Service.Instance), printable(location(c.Service)), addresses(c.Service.Addrs), c.Service.Interface)
	return err
}
