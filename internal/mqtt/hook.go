package mqtt

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"server22.local/appliance/internal/bus"
	"server22.local/appliance/internal/problem"
)

// hook is where the broker asks us. All of a client's calls come from the
// goroutine that handles its packets, but for OnUnsubscribed, which comes from
// another's when that takes its name over.
type hook struct {
	broker.HookBase
	server *Server
}

// ID names the hook.
func (h *hook) ID() string { return "bus" }

// Provides says what the hook is asked.
func (h *hook) Provides(what byte) bool {
	return slices.Contains([]byte{
		broker.OnPacketRead, broker.OnConnectAuthenticate, broker.OnPacketEncode,
		broker.OnSessionEstablish, broker.OnSessionEstablished,
		broker.OnACLCheck, broker.OnSubscribe, broker.OnSubscribed, broker.OnPacketProcessed, broker.OnUnsubscribed,
		broker.OnPublish,
	}, what)
}

func sessionOf(cl *broker.Client) *session { return cl.Net.Conn.(*session) }

// OnPacketRead makes the session one that begins and ends with its connection,
// and takes the will, which is ours to publish.
func (h *hook) OnPacketRead(cl *broker.Client, pk packets.Packet) (packets.Packet, error) {
	switch pk.FixedHeader.Type {
	case packets.Publish:
		if strings.HasPrefix(strings.ToUpper(pk.TopicName), broker.SysPrefix) {
			return pk, packets.ErrRejectPacket // the broker would neither publish nor acknowledge it
		}
	case packets.Connect:
		if pk.Connect.ClientIdentifier != "" || pk.ProtocolVersion == 5 {
			pk.Connect.Clean = true // else it is for the broker to refuse (§3.1.3.1)
		}
		if pk.Connect.WillFlag && pk.Connect.WillQos <= 2 {
			sessionOf(cl).will = &message{pk.Connect.WillTopic, pk.Connect.WillPayload, pk.Connect.WillRetain}
			pk.Connect.WillFlag, pk.Connect.WillRetain = false, false
		}
	}
	return pk, nil
}

// OnConnectAuthenticate has the front door's rules decide.
func (h *hook) OnConnectAuthenticate(cl *broker.Client, pk packets.Packet) bool {
	return h.server.cfg.Allow(sessionOf(cl).address(), string(pk.Connect.Password))
}

// OnPacketEncode tells clients of MQTT 5 what the broker does not.
func (h *hook) OnPacketEncode(_ *broker.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type == packets.Connack && pk.ReasonCode == packets.CodeSuccess.Code {
		pk.Properties.MaximumPacketSize = uint32(h.server.cfg.MaxPacket)
		pk.Properties.SharedSubAvailableFlag = true // not so: the value is 0
	}
	return pk
}

// OnSessionEstablish ends who has the name already (§3.1.4). To one of MQTT 5
// the broker says why; in 3.1.1 a server has no DISCONNECT.
func (h *hook) OnSessionEstablish(_ *broker.Client, pk packets.Packet) {
	before, ok := h.server.broker.Clients.Get(pk.Connect.ClientIdentifier)
	if ok && before.Properties.ProtocolVersion < 5 {
		before.Stop(packets.ErrSessionTakenOver)
	}
}

// OnSessionEstablished begins the session, behind CONNACK.
func (h *hook) OnSessionEstablished(cl *broker.Client, _ packets.Packet) { sessionOf(cl).begin(cl) }

// OnACLCheck lets subscribe to what the bus has filters for. What may be
// published, the bus says when it is.
func (h *hook) OnACLCheck(_ *broker.Client, name string, write bool) bool {
	return write || bus.CheckFilter(name) == nil && !strings.HasPrefix(strings.ToUpper(name), broker.SharePrefix)
}

// OnSubscribe grants QoS 0.
func (h *hook) OnSubscribe(_ *broker.Client, pk packets.Packet) packets.Packet {
	for i := range pk.Filters {
		pk.Filters[i].Qos = 0
	}
	return pk
}

// OnSubscribed begins what is granted, and holds back what it brings until
// SUBACK is written. What the bus has no room for is not granted.
func (h *hook) OnSubscribed(cl *broker.Client, pk packets.Packet, codes []byte) {
	var granted []packets.Subscription
	for i, sub := range pk.Filters {
		if codes[i] == packets.CodeGrantedQos0.Code {
			granted = append(granted, sub)
		}
	}
	c := sessionOf(cl)
	c.hold()
	if err := c.subscribe(granted); err != nil {
		h.server.cfg.Logger.Debug("an MQTT client's subscription fails", "client", cl.ID, "err", err)
		for i := range codes {
			codes[i] = noRoom(cl.Properties.ProtocolVersion)
		}
	}
}

// noRoom is what SUBACK says of a subscription too many.
func noRoom(version byte) byte {
	if version < 5 {
		return packets.ErrUnspecifiedError.Code // the only one (MQTT 3.1.1 §3.9.3)
	}
	return packets.ErrQuotaExceeded.Code
}

// OnPacketProcessed comes behind SUBACK.
func (h *hook) OnPacketProcessed(cl *broker.Client, _ packets.Packet, _ error) { sessionOf(cl).letGo() }

// OnUnsubscribed ends subscriptions.
func (h *hook) OnUnsubscribed(cl *broker.Client, pk packets.Packet) {
	sessionOf(cl).unsubscribe(pk.Filters)
}

// OnPublish hands a message to the bus, and leaves to the broker no more than
// its acknowledgement.
func (h *hook) OnPublish(cl *broker.Client, pk packets.Packet) (packets.Packet, error) {
	c := sessionOf(cl)
	if err := c.limit.Wait(c.ctx); err != nil {
		return pk, packets.ErrRejectPacket
	}
	err := c.publish(message{pk.TopicName, pk.Payload, pk.FixedHeader.Retain})
	if err == nil {
		return pk, packets.CodeSuccessIgnore
	}
	h.server.cfg.Logger.Debug("an MQTT message was not taken", "client", cl.ID, "topic", pk.TopicName, "err", err)
	if pk.FixedHeader.Qos > 0 {
		c.refuse(pk, err)
	}
	return pk, packets.ErrRejectPacket
}

// refuse answers a message that the bus did not take. MQTT 3.1.1 has no word
// for it but the end of the connection (§3.3.5).
func (c *session) refuse(pk packets.Packet, why error) {
	if pk.ProtocolVersion < 5 {
		c.Close()
		return
	}
	answer := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Puback},
		PacketID:    pk.PacketID, ReasonCode: reason(why),
	}
	if pk.FixedHeader.Qos == 2 {
		answer.FixedHeader.Type = packets.Pubrec
	}
	answer.Properties.ReasonString = why.Error()
	_ = c.client.WritePacket(answer) // who cannot be told is gone
}

// reason is the code of MQTT 5 for what the bus says (§3.4.2.1).
func reason(err error) byte {
	p, ok := errors.AsType[problem.Problem](err)
	switch {
	case !ok:
		return packets.ErrUnspecifiedError.Code
	case p.Code == "bad_topic":
		return packets.ErrTopicNameInvalid.Code
	case p.Status == http.StatusInsufficientStorage || p.Status == http.StatusRequestEntityTooLarge:
		return packets.ErrQuotaExceeded.Code
	default:
		return packets.ErrImplementationSpecificError.Code
	}
}
