package mqtt

import (
	"errors"
	"time"
)

// Answers to CONNECT (§3.2.2.3).
const (
	accepted     = 0
	otherVersion = 1
	badClientID  = 2
	notAllowed   = 5
)

// refusal is an answer to CONNECT other than accepted.
type refusal byte

func (r refusal) Error() string {
	switch r {
	case otherVersion:
		return "MQTT 3.1.1 is spoken here"
	case badClientID:
		return "the client has no name, and wants its session kept"
	default:
		return "not allowed"
	}
}

// hello is what a client says of itself.
type hello struct {
	client    string
	clean     bool
	keepAlive time.Duration
	will      *message
	password  string
}

// message is what is published.
type message struct {
	topic   string
	payload []byte
	retain  bool
}

// Flags of CONNECT (§3.1.2.3).
const (
	flagReserved   = 1 << 0
	flagClean      = 1 << 1
	flagWill       = 1 << 2
	flagWillRetain = 1 << 5
	flagPassword   = 1 << 6
	flagUser       = 1 << 7
	maskWillQoS    = 3 << 3
)

// parseConnect reads the first packet of a client. The error is a refusal
// where the client can be told.
func parseConnect(b body) (hello, error) {
	var h hello
	name, err := b.string()
	if err != nil {
		return h, err
	}
	version, err := b.byte()
	if err != nil {
		return h, err
	}
	if !(name == "MQTT" && version == 4 || name == "MQIsdp" && version == 3) {
		if name == "MQTT" || name == "MQIsdp" {
			return h, refusal(otherVersion)
		}
		return h, errProtocol
	}
	flags, err := b.byte()
	if err != nil {
		return h, err
	}
	if flags&flagReserved != 0 || flags&maskWillQoS == maskWillQoS ||
		flags&flagWill == 0 && flags&(flagWillRetain|maskWillQoS) != 0 || flags&flagUser == 0 && flags&flagPassword != 0 {
		return h, errMalformed
	}
	seconds, err := b.uint16()
	if err != nil {
		return h, err
	}
	h.clean, h.keepAlive = flags&flagClean != 0, time.Duration(seconds)*time.Second
	return h, h.parsePayload(b, flags)
}

// parsePayload reads the fields that the flags announce, in their order (§3.1.3).
func (h *hello) parsePayload(b body, flags byte) (err error) {
	if h.client, err = b.string(); err != nil {
		return err
	}
	if flags&flagWill != 0 {
		h.will = &message{retain: flags&flagWillRetain != 0}
		if h.will.topic, err = b.string(); err != nil {
			return err
		}
		if h.will.payload, err = b.bytes(); err != nil {
			return err
		}
	}
	if flags&flagUser != 0 {
		if _, err = b.string(); err != nil { // whoever it is: the password decides
			return err
		}
	}
	if flags&flagPassword != 0 {
		password, err := b.bytes()
		if err != nil {
			return err
		}
		h.password = string(password)
	}
	if len(b) > 0 {
		return errMalformed
	}
	if h.client == "" && !h.clean {
		return refusal(badClientID)
	}
	return nil
}

// answer is the CONNACK for what became of a CONNECT; nil where there is none
// to be given. No session is ever present.
func answer(err error) []byte {
	code := byte(accepted)
	if r, ok := errors.AsType[refusal](err); ok {
		code = byte(r)
	} else if err != nil {
		return nil
	}
	return appendPacket(nil, connack, 0, []byte{0, code})
}
