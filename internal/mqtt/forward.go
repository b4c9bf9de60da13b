package mqtt

import (
	"errors"
	"slices"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"server22.local/appliance/internal/bus"
	"server22.local/appliance/realtime/history"
)

// What retained messages a subscription of MQTT 5 begins with (§3.8.3.1).
const (
	retainedIfNew = 1
	retainedNever = 2
)

// subscribe begins what is granted, while nothing is sent.
func (c *session) subscribe(granted []packets.Subscription) error {
	now := c.server.cfg.Bus.Seq()
	greeted, silent := c.sorted(granted)
	if len(silent) > 0 {
		if err := c.stream.Subscribe(c.ctx, silent, history.Since{Given: true, Seq: now}); err != nil {
			return err
		}
	}
	if len(greeted) > 0 {
		if err := c.stream.Subscribe(c.ctx, greeted, history.Since{}); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.old = now
	for _, sub := range granted {
		c.subs[sub.Filter] = sub
	}
	return nil
}

// sorted tells the filters that begin with what is retained from those that do
// not.
func (c *session) sorted(subs []packets.Subscription) (greeted, silent []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, sub := range subs {
		_, existed := c.subs[sub.Filter]
		if sub.RetainHandling == retainedNever || sub.RetainHandling == retainedIfNew && existed {
			silent = append(silent, sub.Filter)
			continue
		}
		greeted = append(greeted, sub.Filter)
	}
	return greeted, silent
}

func (c *session) unsubscribe(gone []packets.Subscription) {
	filters := make([]string, 0, len(gone))
	c.mu.Lock()
	for _, sub := range gone {
		delete(c.subs, sub.Filter)
		filters = append(filters, sub.Filter)
	}
	c.mu.Unlock()
	c.stream.Unsubscribe(filters)
}

// forward writes what the client subscribed to until the session ends, or the
// client is too slow.
func (c *session) forward(client *broker.Client) {
	defer c.Close()
	for {
		messages, err := c.stream.Next(c.ctx)
		if err != nil {
			return
		}
		if c.send(client, messages) != nil {
			return
		}
	}
}

func (c *session) send(client *broker.Client, messages []*bus.Message) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	for _, m := range messages {
		packet, wanted := c.outgoing(m)
		if !wanted {
			continue
		}
		// A packet larger than the client takes is as good as sent (MQTT 5
		// §3.1.2.11.4).
		if err := client.WritePacket(packet); err != nil && !errors.Is(err, packets.ErrPacketTooLarge) {
			return err
		}
	}
	return nil
}

// outgoing is the packet that a message makes for this client, if it is to
// have it.
func (c *session) outgoing(m *bus.Message) (packet packets.Packet, wanted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := c.isOwn(m.Seq)
	retain := m.Retain && m.Seq <= c.old // §3.3.1.3: not for those who were there already
	var ids []int
	for filter, sub := range c.subs {
		if own && sub.NoLocal || !bus.Match(filter, m.Topic) {
			continue
		}
		wanted = true
		retain = retain || m.Retain && sub.RetainAsPublished
		if sub.Identifier > 0 {
			ids = append(ids, sub.Identifier)
		}
	}
	slices.Sort(ids)
	packet = packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: retain},
		TopicName:   m.Topic, Payload: m.Value.Raw(),
	}
	packet.Properties.SubscriptionIdentifier = ids
	return packet, wanted
}

// isOwn says that the client itself published a message, and forgets earlier
// ones. c.mu is held.
func (c *session) isOwn(seq uint64) bool {
	i, found := slices.BinarySearch(c.own, seq)
	c.own = c.own[i:]
	return found
}
