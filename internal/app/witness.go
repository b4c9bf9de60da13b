package app

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"server22.local/appliance/internal/blackbox"
	"server22.local/appliance/internal/health"
)

// blackBoxDir is the folder, within the state folder, of what a technician reads
// after the fact.
const blackBoxDir = "blackbox"

// openBox opens the black box. Without one the appliance goes on: a witness is
// no reason to stop.
func (a *App) openBox() {
	box, err := blackbox.Open(filepath.Join(a.cfg().State, blackBoxDir), a.log.With("part", "black box"))
	if err != nil {
		a.log.Warn("life-cycle events are not kept", "err", err)
		return
	}
	a.box = box
	a.record(blackbox.KindStart, "version "+a.opts.Version)
}

// record keeps a life-cycle event, where there is a box.
func (a *App) record(kind, text string) {
	if a.box != nil {
		a.box.Record(kind, text, nil)
	}
}

// runBox writes what is recorded.
func (a *App) runBox(ctx context.Context) error {
	if a.box == nil {
		<-ctx.Done()
		return nil
	}
	return a.box.Run(ctx)
}

// witness records what comes to be wrong, what is over, and where the
// appliance is open.
func (a *App) witness(ctx context.Context) error {
	known, urls := map[string]health.Condition{}, ""
	for {
		changed, moved := a.health.Changed(), a.moves()
		now := map[string]health.Condition{}
		for _, c := range a.health.Conditions() {
			now[c.ID] = c
			if old, ok := known[c.ID]; !ok || old.Text != c.Text {
				a.record(string(c.Severity), fmt.Sprintf("%s %s: %s", c.Code, c.ID, c.Text))
			}
		}
		for id := range known {
			if _, ok := now[id]; !ok {
				a.record("over", id)
			}
		}
		known = now
		if open := strings.Join(a.site.Load().urls(), " "); open != urls {
			a.record("open", open)
			urls = open
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-moved:
		}
	}
}
