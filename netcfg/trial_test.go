package netcfg

import (
	"strings"
	"testing"
	"time"

	"server22.local/appliance/internal/netnstest"
)

const newAddress = `{"interface":"eth0","mode":"static","static":{"addresses":["10.82.1.40/24"],"gateways":["10.82.1.1"]}}`

func TestTrialRevertsByItself(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	d := n.start(staticSettings("10.82.1.30/24"))
	d.has("10.82.1.30/24", soon)
	d.tell("try " + newAddress)
	d.has("10.82.1.40/24", soon)
	d.lacks("10.82.1.30/24", soon)
	d.has("10.82.1.30/24", 6*time.Second)
	d.lacks("10.82.1.40/24", soon)
	d.complains("nobody confirmed")
}

func TestTrialConfirmed(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	d := n.start(staticSettings("10.82.1.30/24"))
	d.has("10.82.1.30/24", soon)
	d.tell("try " + newAddress)
	d.has("10.82.1.40/24", soon)
	var id string
	netnstest.Eventually(t, soon, "the trial in the report", func() bool {
		if trial := d.report().Trial; trial != nil {
			id = trial.ID
		}
		return id != ""
	})
	d.tell("confirm " + id + " 10.82.1.30")
	if !strings.Contains(d.Output(), ErrOldAddress.Error()) {
		t.Error("confirmed over the old address")
	}
	d.tell("confirm " + id + " 10.82.1.40")
	if !strings.Contains(d.Output(), "confirm: <nil>") {
		t.Error("not confirmed over the new address")
	}
	time.Sleep(4500 * time.Millisecond) // the time of the trial
	d.has("10.82.1.40/24", 0)
}

func TestTrialEndsByACrash(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	settings := staticSettings("10.82.1.30/24")
	d := n.start(settings)
	d.has("10.82.1.30/24", soon)
	d.tell("try " + newAddress)
	d.has("10.82.1.40/24", soon)
	d.Kill()
	again := n.start(settings, d)
	again.has("10.82.1.30/24", soon)
	again.lacks("10.82.1.40/24", soon)
	again.complains("the program ended")
}

// What was only observed before the trial is only observed after it, and
// nothing of ours is left.
func TestTrialRevertsToObserving(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	d := n.start(Settings{Mode: ModeObserve})
	d.tell("try " + newAddress)
	d.has("10.82.1.40/24", soon)
	d.lacks("10.82.1.40/24", 8*time.Second)

	d.tell("try " + newAddress)
	d.has("10.82.1.40/24", soon)
	d.Kill()
	again := n.start(Settings{Mode: ModeObserve}, d)
	again.lacks("10.82.1.40/24", soon)
}
