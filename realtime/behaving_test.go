package realtime_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestBehavingEverywhere has the clients of all worlds do what the script
// testdata/behaviour.js has users of socket.io-client do.
func TestBehavingEverywhere(t *testing.T) {
	everywhere(t, map[string]func(*testing.T, world){
		"values":       ruleValues,
		"arguments":    ruleArguments,
		"rooms":        ruleRooms,
		"everybody":    ruleEverybody,
		"namespaces":   ruleNamespaces,
		"middlewares":  ruleMiddlewares,
		"catch-alls":   ruleCatchAlls,
		"handshake":    ruleHandshake,
		"disconnect":   ruleDisconnect,
		"recovery":     ruleRecovery,
		"nothing lost": ruleRecoveryOfNothing,
	})
}

// ask says an event with an id and returns the arguments of its ACK.
func (c *peer) ask(namespace, event string) (answer string) {
	c.t.Helper()
	prefix := namespace
	if prefix != "" {
		prefix += ","
	}
	c.say("42" + prefix + "77" + event)
	text := c.hear()
	answer, ok := strings.CutPrefix(text, "43"+prefix+"77")
	if !ok {
		c.t.Fatalf("asked %s, got %s", event, text)
	}
	return answer
}

func (c *peer) asked(namespace, event, want string) {
	c.t.Helper()
	if got := c.ask(namespace, event); !sameJSON(got, want) {
		c.t.Errorf("%s is answered %s, want %s", event, got, want)
	}
}

// sameJSON compares values, whatever their spelling.
func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// join joins a namespace, with what it is to be told.
func (c *peer) join(namespace, auth string) (sid, pid string) {
	c.t.Helper()
	c.say("40" + namespace + "," + auth)
	text := c.hear()
	var ids struct{ SID, PID string }
	rest, ok := strings.CutPrefix(text, "40"+namespace+",")
	if !ok || json.Unmarshal([]byte(rest), &ids) != nil {
		c.t.Fatalf("%s greets with %s", namespace, text)
	}
	return ids.SID, ids.PID
}

func ruleValues(t *testing.T, w world) {
	c := w.dial(t, serve(t, behaving(t))).connect()
	for _, value := range []string{
		"null", "true", "0", "-1", "1.5", "1e-7", "9007199254740992", `""`, `"てすと Ä €"`, `"\u2028\u0000\"\\"`,
		"[]", "{}", "[1,[2,[3]]]", `{"a":{"b":null}}`, `"` + strings.Repeat("x", 100_000) + `"`,
	} {
		c.asked("", `["echo",`+value+`]`, "["+value+"]")
	}
}

func ruleArguments(t *testing.T, w world) {
	c := w.dial(t, serve(t, behaving(t))).connect()
	c.asked("", `["swap","a",{"b":1}]`, `[{"b":1},"a"]`)
	c.asked("", `["swap"]`, `[null,""]`)
	c.asked("", `["join","somewhere"]`, `[]`)
	c.asked("", `["refuse"]`, `[{"error":{"message":"not you","data":{"code":7}}}]`)
	c.asked("", `["fail"]`, `[{"error":{"message":"internal error"}}]`)
	if got := c.ask("", `["join",5]`); !strings.Contains(got, "argument 1") {
		t.Errorf("a wrong argument is answered %s", got)
	}
}

func ruleRooms(t *testing.T, w world) {
	io := behaving(t)
	url := serve(t, io)
	var peers []*peer
	for i, rooms := range []string{"one", "one two", "two"} {
		c := w.dial(t, url).connect()
		for room := range strings.FieldsSeq(rooms) {
			c.asked("", `["join","`+room+`"]`, "[]")
		}
		if i == 0 {
			c.asked("", `["join","one"]`, "[]") // again: once
		}
		peers = append(peers, c)
	}
	a, b, c := peers[0], peers[1], peers[2]
	hears := func(who map[*peer]string) {
		t.Helper()
		for p, want := range who {
			p.expect(want)
		}
	}
	a.asked("", `["say","one",1]`, "[]")
	hears(map[*peer]string{b: `42["said",1]`})
	c.say(`42["say all",["one","two"],2]`)
	hears(map[*peer]string{a: `42["said",2]`, b: `42["said",2]`, c: `42["said",2]`})
	c.say(`42["say except","one","two",3]`)
	hears(map[*peer]string{a: `42["said",3]`})
	b.asked("", `["leave","one"]`, "[]")
	c.asked("", `["say","one",4]`, "[]")
	hears(map[*peer]string{a: `42["said",4]`})
	io.To("two").Emit("file", map[string]any{"bytes": []byte("abc")})
	for _, p := range []*peer{b, c} {
		hears(map[*peer]string{p: `451-["file",{"bytes":{"_placeholder":true,"num":0}}]`})
		p.expect("abc")
	}
	for _, p := range peers {
		p.asked("", `["echo",0]`, "[0]") // and nothing else has come
	}
}

func ruleEverybody(t *testing.T, w world) {
	url := serve(t, behaving(t))
	var peers []*peer
	for range 3 {
		c := w.dial(t, url).connect()
		c.asked("", `["join","asked"]`, "[]")
		peers = append(peers, c)
	}
	asking := w.dial(t, url).connect()
	asking.say(`421["poll all","asked",20000]`)
	for i, p := range peers {
		id, event, _ := strings.Cut(strings.TrimPrefix(p.hear(), "42"), "[")
		if event != `"poll"]` {
			t.Fatalf("asked %s", event)
		}
		if i < 2 {
			p.say(fmt.Sprintf("43%s[%d]", id, i))
		} else {
			p.end() // and so ends the wait
		}
	}
	got := asking.hear()
	if got != `431[{"answers":[0,1],"missing":1}]` && got != `431[{"answers":[1,0],"missing":1}]` {
		t.Errorf("got %s", got)
	}
	asking.say(`422["ask me",21]`)
	id, event, _ := strings.Cut(strings.TrimPrefix(asking.hear(), "42"), "[")
	if event != `"question",21]` {
		t.Errorf("asked %s", event)
	}
	asking.say("43" + id + "[42]")
	asking.expect("432[42]")
}

func ruleNamespaces(t *testing.T, w world) {
	c := w.dial(t, serve(t, behaving(t))).connect()
	first, _ := c.join("/other", "")
	c.asked("/other", `["where"]`, `["/other"]`)
	c.asked("", `["where"]`, `["/"]`)
	c.asked("/other", `["id"]`, `["`+first+`"]`)
	c.say("41/other,")
	c.asked("", `["echo",1]`, "[1]")
	if again, _ := c.join("/other", ""); again == first {
		t.Error("the same id again")
	}
	c.join("/room-5", "")
	c.asked("/room-5", `["where"]`, `["/room-5"]`)
	c.say("40/nowhere,")
	c.expect(`44/nowhere,{"message":"Invalid namespace"}`)
	c.asked("", `["echo",2]`, "[2]")
}

func ruleMiddlewares(t *testing.T, w world) {
	c := w.dial(t, serve(t, behaving(t)))
	c.say(`40/guarded,{"token":"wrong"}`)
	c.expect(`44/guarded,{"message":"unauthorized","data":{"hint":"token"}}`)
	c.join("/guarded", `{"token":"secret"}`)
	c.asked("/guarded", `["who"]`, `["secret"]`)
}

func ruleCatchAlls(t *testing.T, w world) {
	c := w.dial(t, serve(t, behaving(t)))
	c.join("/observed", "")
	c.asked("/observed", `["anything",1,2]`, `["seen anything 2"]`)
	c.asked("/observed", `["forbidden"]`, `[{"error":{"message":"forbidden"}}]`)
	c.say(`42/observed,["send"]`)
	c.expect(`42/observed,["stamped","x","stamp"]`)
}

func ruleHandshake(t *testing.T, w world) {
	c := w.dial(t, serve(t, behaving(t)))
	c.say(`40{"a":[1]}`)
	c.greeting()
	var shown []struct {
		Query, Headers map[string]string
		Auth           json.RawMessage
		Address        string
		XDomain        bool
	}
	if err := json.Unmarshal([]byte(c.ask("", `["handshake"]`)), &shown); err != nil || len(shown) != 1 {
		t.Fatal(err)
	}
	h := shown[0]
	if h.Query["EIO"] != "4" || h.Headers["host"] == "" || !sameJSON(string(h.Auth), `{"a":[1]}`) || h.Address != "127.0.0.1" || h.XDomain {
		t.Errorf("%+v", h)
	}
}

func ruleDisconnect(t *testing.T, w world) {
	url := serve(t, behaving(t))
	watcher := w.dial(t, url).connect()
	watcher.asked("", `["join","watchers"]`, "[]")
	for _, tt := range []struct {
		leave func(*peer)
		why   string
	}{
		{func(c *peer) { c.say("41") }, "client namespace disconnect"},
		{func(c *peer) { c.say(`42["kick me"]`); c.expect("41") }, "server namespace disconnect"},
		{func(c *peer) { c.say(`42["kick all"]`); c.expect("41") }, "server namespace disconnect"},
		{func(c *peer) { c.say(`42["panic"]`); c.expect("41") }, "handler panic"},
		{func(c *peer) { c.end() }, "transport close"},
	} {
		c := w.dial(t, url)
		c.say("40")
		sid, _ := c.greeting()
		c.asked("", `["join","room"]`, "[]")
		tt.leave(c)
		var told []any
		if err := json.Unmarshal([]byte(strings.TrimPrefix(watcher.hear(), "42")), &told); err != nil || len(told) != 4 {
			t.Fatalf("told %v: %v", told, err)
		}
		rooms, _ := told[3].([]any)
		if told[0] != "gone" || told[1] != sid || told[2] != tt.why || !slices.Contains(rooms, any("room")) || len(rooms) != 2 {
			t.Errorf("told %v, want %s", told, tt.why)
		}
	}
}

func ruleRecovery(t *testing.T, w world) {
	io := behaving(t)
	url := serve(t, io)
	c := w.dial(t, url)
	sid, pid := c.join("/recovering", "")
	c.asked("/recovering", `["join","room"]`, "[]")
	c.asked("/recovering", `["remember","kept"]`, "[]")
	to := io.Of("/recovering").To("room")
	to.Emit("said", 1)
	offset := c.offset(`42/recovering,["said",1,"`)
	c.end()
	for n := range 4 {
		to.Emit("said", n+2)
	}
	io.Of("/recovering").To("elsewhere").Emit("said", 0)
	again := w.dial(t, url)
	again.say(`40/recovering,{"pid":"` + pid + `","offset":"` + offset + `"}`)
	for n := range 4 {
		again.offset(fmt.Sprintf(`42/recovering,["said",%d,"`, n+2))
	}
	if got := again.hear(); !strings.HasPrefix(got, `40/recovering,{"sid":"`+sid+`"`) {
		t.Errorf("greeted with %s", got)
	}
	to.Emit("said", 6)
	again.offset(`42/recovering,["said",6,"`)
	again.asked("/recovering", `["recall"]`, `["kept"]`)
}

func ruleRecoveryOfNothing(t *testing.T, w world) {
	url := serve(t, behaving(t))
	c := w.dial(t, url)
	sid, pid := c.join("/recovering", "")
	c.end()
	if again, _ := w.dial(t, url).join("/recovering", `{"pid":"`+pid+`"}`); again != sid {
		t.Errorf("came back as %s rather than %s", again, sid)
	}
}
