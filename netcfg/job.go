package netcfg

import (
	"context"
	"sync"
)

// job is a goroutine of a [Configurator] that can be stopped.
type job struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// start runs a function beside the loop. Run waits for it at the end.
func (c *Configurator) start(run func(context.Context)) *job {
	ctx, cancel := context.WithCancel(c.jobs)
	j := &job{cancel: cancel}
	j.done.Add(1)
	c.all.Go(func() {
		defer j.done.Done()
		defer cancel()
		run(ctx)
	})
	return j
}

// stop ends the job and waits for it. There may be none. It must not be called
// by the job itself, also not by way of the loop: that is what abandon is for.
func (j *job) stop() {
	if j != nil {
		j.cancel()
		j.done.Wait()
	}
}

// abandon ends the job without waiting for it.
func (j *job) abandon() {
	if j != nil {
		j.cancel()
	}
}
