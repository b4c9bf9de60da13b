package dhcp4

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"server22.local/appliance/netcfg/acd"
)

// session is one Run of a client. All but readAnswers and the guard runs on
// one goroutine.
type session struct {
	*Client
	conn     Conn
	answers  chan answer
	conflict chan *acd.Conflict // from the guard, when it gives up

	plugged        bool // and nothing has been heard yet
	transaction    transaction
	discovered     uint16 // the "secs" of the last DISCOVER
	wantsBroadcast bool
	// wish is the address that we would like to get again.
	wish netip.Addr
	// lease is the one that is bound, nil for none.
	lease     *Lease
	conflicts int // since the last lease that held
	naks      int // since the last lease
	guard     *holding
	// done is what a command waits for that has been begun, nil for none.
	done    chan struct{}
	savedAt time.Time
}

// step is a state: it works until something ends the state, and returns the
// next, nil when ctx has ended.
type step func(context.Context) step

// event is what a state waits for. At most one field is set; none is set when
// the time is over or ctx has ended.
type event struct {
	answer   *answer
	command  command
	conflict *acd.Conflict
	expired  bool // the lease in use has ended; it is off the link
}

// next waits until a moment, for whatever comes first.
func (s *session) next(ctx context.Context, until time.Time) event {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	for {
		expiry, stop := s.expiry()
		select {
		case a := <-s.answers:
			stop()
			if a.xid == s.transaction.id {
				return event{answer: &a}
			}
		case r := <-s.commands:
			stop()
			s.commandDone()
			s.done = r.done
			if r.command == renew {
				s.commandDone()
			}
			return event{command: r.command}
		case conflict := <-s.conflict:
			stop()
			return event{conflict: conflict}
		case <-expiry:
			s.fail("the lease has expired", errors.New("no server extended it"))
			s.drop(ctx)
			return event{expired: true}
		case <-timer.C:
			stop()
			return event{}
		case <-ctx.Done():
			stop()
			return event{}
		}
	}
}

// expiry fires when the lease in use ends.
func (s *session) expiry() (<-chan time.Time, func()) {
	if s.lease == nil || s.lease.Duration == Forever {
		return nil, func() {}
	}
	timer := time.NewTimer(time.Until(s.lease.Expires()))
	return timer.C, func() { timer.Stop() }
}

// open begins a transaction with an id of its own.
func (s *session) open() {
	s.transaction = transaction{id: newXID(), started: time.Now()}
}

// reopen gives the transaction a new id, so that an answer tells which of our
// messages it answers.
func (s *session) reopen() { s.transaction.id = newXID() }

func (s *session) broadcast(m *dhcpv4.DHCPv4) {
	if err := s.conn.Broadcast(encode(m)); err != nil {
		s.fail("cannot send to the DHCP servers", err)
	}
}

// readAnswers hands on what passes the checks until ctx ends.
func (s *session) readAnswers(ctx context.Context) {
	for {
		payload, err := s.conn.Receive(ctx)
		if err != nil {
			// The kernel reports once that the link went down; the socket stays good.
			if !pause(ctx, 100*time.Millisecond) {
				return
			}
			continue
		}
		a, err := parseAnswer(payload.Data, s.config.MAC)
		if err != nil {
			s.config.Logger.Debug("ignoring a DHCP message", "from", payload.From, "err", err)
			continue
		}
		select {
		case s.answers <- a:
		case <-ctx.Done():
			return
		}
	}
}

// holding is the guard of the bound address, on a goroutine of its own.
type holding struct {
	addr netip.Addr
	stop context.CancelFunc
	done sync.WaitGroup
}

// hold announces and defends the address that was bound, by the guard that
// probed it.
func (s *session) hold(ctx context.Context, guard *acd.Guard) {
	s.unguard()
	ctx, cancel := context.WithCancel(ctx)
	s.guard = &holding{addr: guard.Addr, stop: cancel}
	s.guard.done.Go(func() {
		defer guard.Conn.Close()
		if conflict, ok := errors.AsType[*acd.Conflict](guard.Hold(ctx)); ok {
			s.conflict <- conflict
		}
	})
}

// unguard ends the guard, if there is one, and whatever it still had to say.
func (s *session) unguard() {
	if s.guard == nil {
		return
	}
	s.guard.stop()
	s.guard.done.Wait()
	s.guard = nil
	select {
	case <-s.conflict:
	default:
	}
}

// bind puts a lease on the link and remembers it.
func (s *session) bind(ctx context.Context, lease *Lease) error {
	if err := s.config.Bind(ctx, lease); err != nil {
		return err
	}
	changed := s.lease == nil || s.lease.Prefix != lease.Prefix
	s.use(lease)
	s.wish, s.naks, s.plugged = lease.Prefix.Addr(), 0, false
	if changed || time.Since(s.savedAt) > saveInterval {
		s.save(lease)
	}
	return nil
}

// saveInterval spares flash memory the renewals of leases of seconds.
const saveInterval = 10 * time.Minute

func (s *session) save(lease *Lease) {
	if s.config.Store == nil {
		return
	}
	if err := s.config.Store.Save(lease); err != nil {
		s.fail("cannot save the lease", err)
	}
	s.savedAt = time.Now()
}

// close ends the session; the lease stays on the link and in the store.
func (s *session) close() {
	s.unguard()
	s.commandDone()
	if s.lease != nil && s.lease.Obtained.After(s.savedAt) {
		s.save(s.lease)
	}
}

// commandDone tells who gave a command that it is carried out.
func (s *session) commandDone() {
	if s.done != nil {
		close(s.done)
		s.done = nil
	}
}

// drop takes the lease off the link.
func (s *session) drop(ctx context.Context) {
	s.unguard()
	if s.lease == nil {
		return
	}
	s.use(nil)
	if err := s.config.Bind(ctx, nil); err != nil {
		s.fail("cannot remove the address", err)
	}
}

// use notes the lease for Status and for the next Run.
func (s *session) use(lease *Lease) {
	s.lease = lease
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Lease, s.status.Conflicts = lease, s.conflicts
}

// forget drops the lease and does not ask for its address again.
func (s *session) forget(ctx context.Context) {
	s.drop(ctx)
	s.wish = netip.Addr{}
	if s.config.Store != nil {
		if err := s.config.Store.Forget(); err != nil {
			s.fail("cannot forget the lease", err)
		}
	}
}
