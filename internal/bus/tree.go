package bus

import "strings"

// filter is a subscription that at least somebody has.
type filter struct {
	text    string
	room    string               // in which a hub's sockets are
	sockets map[*hub]int         // how many of each hub
	streams map[*Stream]struct{} // in process
}

func (f *filter) unused() bool { return len(f.sockets) == 0 && len(f.streams) == 0 }

// tree finds the filters that match a topic, level by level.
type tree struct {
	root node
	size int
	// version grows with every change, so that what was found may be kept.
	version uint64
}

type node struct {
	children map[string]*node // "+" among them
	here     *filter          // that ends at this level
	rest     *filter          // that ends with # below it
}

// get returns the filter of a text, and makes it if there is none.
func (t *tree) get(text string) *filter {
	n := &t.root
	rest, deep := strings.CutSuffix(text, "#")
	if deep {
		text = strings.TrimSuffix(rest, "/")
	}
	if !deep || rest != "" {
		n = n.descend(text)
	}
	at := &n.here
	if deep {
		at = &n.rest
	}
	if *at == nil {
		t.size++
		t.version++
		whole := text
		if deep {
			whole = rest + "#"
		}
		*at = &filter{text: whole, room: roomPrefix + whole, sockets: make(map[*hub]int), streams: make(map[*Stream]struct{})}
	}
	return *at
}

func (n *node) descend(text string) *node {
	for level := range strings.SplitSeq(text, "/") {
		child := n.children[level]
		if child == nil {
			if n.children == nil {
				n.children = make(map[string]*node)
			}
			child = &node{}
			n.children[level] = child
		}
		n = child
	}
	return n
}

// remove takes a filter out that nobody has any more.
func (t *tree) remove(f *filter) {
	levels := strings.Split(f.text, "/")
	deep := levels[len(levels)-1] == "#"
	if deep {
		levels = levels[:len(levels)-1]
	}
	t.root.remove(levels, deep)
	t.size--
	t.version++
}

// remove reports whether the node has become empty.
func (n *node) remove(levels []string, deep bool) bool {
	switch {
	case len(levels) > 0:
		if child := n.children[levels[0]]; child != nil && child.remove(levels[1:], deep) {
			delete(n.children, levels[0])
		}
	case deep:
		n.rest = nil
	default:
		n.here = nil
	}
	return n.here == nil && n.rest == nil && len(n.children) == 0
}

// match appends the filters that match the topic.
func (t *tree) match(found []*filter, topic string) []*filter {
	return t.root.match(found, topic, topic[0] == '$')
}

// match looks at the rest of a topic; reserved says that no wildcard matches
// its first level.
func (n *node) match(found []*filter, topic string, reserved bool) []*filter {
	if n.rest != nil && !reserved {
		found = append(found, n.rest)
	}
	level, rest, more := strings.Cut(topic, "/")
	for _, name := range [2]string{level, "+"} {
		child := n.children[name]
		if child == nil || reserved && name == "+" || name == "+" && level == "+" {
			continue
		}
		if more {
			found = child.match(found, rest, false)
			continue
		}
		if child.here != nil {
			found = append(found, child.here)
		}
		if child.rest != nil {
			found = append(found, child.rest)
		}
	}
	return found
}
