package bus

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"server22.local/appliance/internal/problem"
)

// Bounds of names (MQTT 5 §4.7.3 has 65,535 bytes and no bound of levels).
const (
	maxTopic  = 512
	maxLevels = 32
)

// CheckTopic refuses what cannot be published to.
func CheckTopic(topic string) error {
	if err := checkName(topic, "topic"); err != nil {
		return err
	}
	if strings.ContainsAny(topic, "+#") {
		return problem.New(http.StatusBadRequest, "bad_topic", fmt.Sprintf("the topic %q has a wildcard", topic),
			"+ and # are for subscriptions; publish to a topic of its own")
	}
	return nil
}

// CheckFilter refuses what cannot be subscribed to: + and # stand for whole
// levels, and # only at the end (MQTT 5 §4.7.1).
func CheckFilter(filter string) error {
	if err := checkName(filter, "filter"); err != nil {
		return err
	}
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		if len(level) > 1 && strings.ContainsAny(level, "+#") || level == "#" && i < len(levels)-1 {
			return problem.New(http.StatusBadRequest, "bad_filter", fmt.Sprintf("the filter %q has a wildcard in a wrong place", filter),
				"+ stands for one whole level, # for all the rest: lab/+/temp, lab/#")
		}
	}
	return nil
}

func checkName(name, what string) error {
	var wrong string
	switch {
	case name == "":
		wrong = "is empty"
	case len(name) > maxTopic:
		wrong = fmt.Sprintf("is longer than %d bytes", maxTopic)
	case !utf8.ValidString(name):
		wrong = "is not UTF-8"
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		wrong = "has a control character"
	case strings.Count(name, "/") >= maxLevels:
		wrong = fmt.Sprintf("has more than %d levels", maxLevels)
	default:
		return nil
	}
	return problem.New(http.StatusBadRequest, "bad_"+what, "the "+what+" "+wrong, "topics are names in levels: lab/temp")
}

// HasWildcard says that a filter may match more than one topic.
func HasWildcard(filter string) bool { return strings.ContainsAny(filter, "+#") }

// Match says whether a valid filter matches a topic. "lab/#" matches "lab",
// too; a wildcard does not match a first level that begins with $ (MQTT 5
// §4.7.1.2, §4.7.2).
func Match(filter, topic string) bool {
	if topic[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	for {
		want, filterRest, moreFilter := strings.Cut(filter, "/")
		if want == "#" {
			return true
		}
		have, topicRest, moreTopic := strings.Cut(topic, "/")
		if want != "+" && want != have {
			return false
		}
		if !moreTopic {
			return !moreFilter || filterRest == "#"
		}
		if !moreFilter {
			return false
		}
		filter, topic = filterRest, topicRest
	}
}
