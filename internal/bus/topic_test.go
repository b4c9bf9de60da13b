package bus

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"lab/temp", "lab/temp", true},
		{"lab/temp", "lab/temp/1", false},
		{"lab/temp", "lab", false},
		{"lab/+", "lab/temp", true},
		{"lab/+", "lab", false},
		{"lab/+", "lab/", true},
		{"lab/+", "lab/temp/1", false},
		{"lab/#", "lab/temp/1", true},
		{"lab/#", "lab", true},
		{"lab/#", "labor", false},
		{"#", "lab/temp", true},
		{"#", "/", true},
		{"+", "lab", true},
		{"+", "/lab", false},
		{"+/+", "/lab", true},
		{"/+", "/lab", true},
		{"+/temp/#", "lab/temp", true},
		{"+/temp/#", "lab/temp/1/2", true},
		{"#", "$SYS/uptime", false},
		{"+/uptime", "$SYS/uptime", false},
		{"$SYS/#", "$SYS/uptime", true},
		{"$SYS/+", "$SYS/uptime", true},
	} {
		if got := Match(c.filter, c.topic); got != c.want {
			t.Errorf("%q matches %q: %v", c.filter, c.topic, got)
		}
		var tr tree
		tr.get(c.filter)
		if got := len(tr.match(nil, c.topic)) > 0; got != c.want {
			t.Errorf("a tree with %q finds %q: %v", c.filter, c.topic, got)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name          string
		topic, filter bool
	}{
		{"lab/temp", true, true},
		{"/", true, true},
		{"", false, false},
		{"lab/+", false, true},
		{"lab/#", false, true},
		{"lab/#/x", false, false},
		{"lab/temp+", false, false},
		{"lab/x#", false, false},
		{"lab\x00", false, false},
		{"lab\n", false, false},
		{"lab\xff", false, false},
		{strings.Repeat("x", maxTopic+1), false, false},
		{strings.Repeat("/", maxLevels), false, false},
		{"Zürich/Café ☕", true, true},
	} {
		if err := CheckTopic(c.name); (err == nil) != c.topic {
			t.Errorf("the topic %q: %v", c.name, err)
		}
		if err := CheckFilter(c.name); (err == nil) != c.filter {
			t.Errorf("the filter %q: %v", c.name, err)
		}
	}
}

// TestTree compares the tree with Match on many random filters and topics,
// while filters come and go.
func TestTree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	level := func(wild bool) string {
		words := []string{"a", "b", "", "$x"}
		if wild {
			words = append(words, "+", "+")
		}
		return words[r.IntN(len(words))]
	}
	name := func(wild bool) string {
		levels := []string{level(wild)}
		for range r.IntN(4) {
			levels = append(levels, level(wild))
		}
		if wild && r.IntN(3) == 0 {
			levels = append(levels, "#")
		}
		if joined := strings.Join(levels, "/"); joined != "" {
			return joined
		}
		return "a"
	}
	var tr tree
	in := make(map[string]*filter)
	for range 20_000 {
		f := name(true)
		if have := in[f]; have != nil && r.IntN(2) == 0 {
			tr.remove(have)
			delete(in, f)
		} else {
			in[f] = tr.get(f)
		}
		topic := name(false)
		var want, got []string
		for f := range in {
			if Match(f, topic) {
				want = append(want, f)
			}
		}
		for _, f := range tr.match(nil, topic) {
			got = append(got, f.text)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("%q is found by %q; want %q", topic, got, want)
		}
	}
	if tr.size != len(in) {
		t.Errorf("the tree counts %d filters; there are %d", tr.size, len(in))
	}
	for _, f := range in {
		tr.remove(f)
	}
	if len(tr.root.children) != 0 || tr.root.rest != nil || tr.size != 0 {
		t.Errorf("an empty tree has %v", tr.root)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("lab/+/#", "lab/temp/1")
	f.Add("#", "/")
	f.Fuzz(func(t *testing.T, filter, topic string) {
		if CheckFilter(filter) != nil || CheckTopic(topic) != nil {
			return
		}
		var tr tree
		tr.get(filter)
		if got, want := len(tr.match(nil, topic)) > 0, Match(filter, topic); got != want {
			t.Errorf("%q and %q: the tree says %v, Match %v", filter, topic, got, want)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	var tr tree
	for i := range 1000 {
		tr.get(fmt.Sprintf("house/%d/+/temp", i))
	}
	tr.get("#")
	var found []*filter
	for b.Loop() {
		found = tr.match(found[:0], "house/500/kitchen/temp")
	}
}
