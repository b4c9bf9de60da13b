package bus

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"server22.local/appliance/internal/problem"
	"server22.local/appliance/realtime/history"
)

// maxFilters bounds the subscriptions of one client.
const maxFilters = 256

// checkFilters refuses filters of which one is wrong, or too many.
func checkFilters(filters []string, have int) error {
	if len(filters) == 0 {
		return problem.New(http.StatusBadRequest, "no_topics", "no topics are named", `{"topics": ["lab/#"]}`)
	}
	for _, f := range filters {
		if err := CheckFilter(f); err != nil {
			return err
		}
	}
	if have+len(filters) > maxFilters {
		return problem.New(http.StatusTooManyRequests, "too_many_subscriptions",
			fmt.Sprintf("a client may have %d subscriptions", maxFilters), "use wildcards: lab/# covers all of lab")
	}
	return nil
}

// page bounds what is given back of the past.
type page struct {
	limit int
	bytes int64
}

// past returns what was kept of the topics that match since then, oldest
// first; of more than the page takes, the newest. It is called twice: for the
// durable history before b.mu is taken, and for the memory's with it held, so
// that nothing comes between the past and the present.
func (b *Bus) past(ctx context.Context, log history.Log, topics []string, since history.Since, p page) ([]*Message, error) {
	now, _ := b.cfg.Clock()
	var found []*Message
	for _, name := range topics {
		q := since.Query(name, now)
		q.Limit, q.Bytes, q.Prefer = p.limit, p.bytes, history.Newest
		entries, err := log.Read(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("reading the history of %q: %w", name, err)
		}
		for _, e := range entries {
			found = append(found, fromEntry(e))
		}
	}
	return found, nil
}

// merge puts two pasts together, each message once.
func merge(a, b []*Message, p page) []*Message {
	all := append(a, b...)
	slices.SortStableFunc(all, func(x, y *Message) int { return cmp.Compare(x.Seq, y.Seq) })
	all = slices.CompactFunc(all, func(x, y *Message) bool { return x.Seq == y.Seq })
	if p.limit > 0 {
		all = all[max(0, len(all)-p.limit):]
	}
	bytes := int64(0)
	for i := len(all) - 1; i >= 0 && p.bytes > 0; i-- {
		if bytes += int64(all[i].cost()); bytes > p.bytes {
			return all[min(i+1, len(all)-1):]
		}
	}
	return all
}

// matching returns the names of the topics that one of the filters matches.
// b.mu is held.
func (b *Bus) matching(filters []string) []string {
	var names []string
	for name := range b.topics {
		if slices.ContainsFunc(filters, func(f string) bool { return Match(f, name) }) {
			names = append(names, name)
		}
	}
	return names
}

// retainedOf returns what the matching topics retain, in the order of their
// numbers. b.mu is held.
func (b *Bus) retainedOf(filters []string) []*Message {
	retained := []*Message{}
	for _, name := range b.matching(filters) {
		if m := b.topics[name].retained; m != nil {
			retained = append(retained, m)
		}
	}
	slices.SortFunc(retained, func(x, y *Message) int { return cmp.Compare(x.Seq, y.Seq) })
	return retained
}

// durable reads the past of the matching topics from the log.
func (b *Bus) durable(ctx context.Context, filters []string, since history.Since, p page) ([]*Message, error) {
	if b.cfg.Log == nil || !since.Given {
		return nil, nil
	}
	b.mu.Lock()
	names := b.matching(filters)
	b.mu.Unlock()
	return b.past(ctx, b.cfg.Log, names, since, p)
}

// begin runs attach, and returns what the matching topics retain and, if since
// asks for it, what came since: all that is in them came before what attach
// lets through, and nothing comes between.
func (b *Bus) begin(ctx context.Context, filters []string, since history.Since, p page, attach func(retained, missed []*Message)) error {
	stored, err := b.durable(ctx, filters, since, p)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var missed []*Message
	if since.Given {
		if since.Seq > b.seq { // of another life of this bus: everything is new
			since.Seq = 0
		}
		if missed, err = b.past(ctx, b.history, b.matching(filters), since, p); err != nil {
			return err
		}
		missed = merge(stored, missed, p)
	}
	attach(b.retainedOf(filters), missed)
	return nil
}

// historyMost bounds one answer with history.
var historyMost = page{limit: 10_000, bytes: 4 << 20}

// History returns what is kept of the topics that a filter matches since then,
// oldest first; of more than limit, the newest. A limit of 0 is as many as
// there may be in an answer.
func (b *Bus) History(ctx context.Context, filter string, since history.Since, limit int) ([]*Message, error) {
	if err := CheckFilter(filter); err != nil {
		return nil, err
	}
	p := historyMost
	if limit > 0 {
		p.limit = min(limit, p.limit)
	}
	since.Given = true
	found := []*Message{}
	known := true
	err := b.begin(ctx, []string{filter}, since, p, func(_, missed []*Message) {
		found = append(found, missed...)
		known = HasWildcard(filter) || b.topics[filter] != nil
	})
	if err == nil && !known {
		err = noTopic(filter)
	}
	return found, err
}
