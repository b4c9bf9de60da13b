package packet

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type inner struct {
	Kind string `json:"kind"`
	Body []byte `json:"body,omitempty"`
}

type Embedded struct {
	Shared string
	Name   string
}

type outer struct {
	Embedded
	*inner
	Name    string            `json:"Name"`
	Skipped string            `json:"-"`
	Any     any               `json:"any"`
	List    []inner           `json:"list"`
	Map     map[string][]byte `json:"map"`
	Count   int               `json:"count,string"`
	When    time.Time         `json:"when,omitzero"`
	Pass    Value             `json:"pass"`
	private []byte
}

func TestBytesAnywhereBecomeAttachmentsAndBack(t *testing.T) {
	pass, err := NewValue(map[string]any{"deep": []byte("v")})
	if err != nil {
		t.Fatal(err)
	}
	in := outer{
		Embedded: Embedded{Shared: "s", Name: "hidden"},
		inner:    &inner{Kind: "k", Body: []byte("body")},
		Name:     "n<&>",
		Any:      map[string]any{"x": []any{[]byte("any"), "é", 1.5}},
		List:     []inner{{Kind: "one", Body: []byte("1")}, {Kind: "two"}},
		Map:      map[string][]byte{"a": []byte("A"), "b": nil},
		Pass:     pass,
		private:  []byte("no"),
	}
	args, attachments, err := Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if len(attachments) != 5 {
		t.Errorf("%d attachments: %q", len(attachments), attachments)
	}
	if !strings.Contains(string(args[0]), "n<&>") {
		t.Errorf("escaped without need: %s", args[0])
	}
	for _, parser := range []Parser{JSON, MessagePack} {
		p, err := NewEvent("/", "x", in)
		if err != nil {
			t.Fatal(err)
		}
		frames, err := parser.Encode(nil, p)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeAll(parser.NewDecoder(Limits{}), frames...)
		if err != nil {
			t.Fatal(err)
		}
		out := outer{inner: &inner{}}
		if err := got.Values()[0].Decode(&out); err != nil {
			t.Fatal(err)
		}
		var deep map[string]any
		if err := out.Pass.Decode(&deep); err != nil || string(deep["deep"].([]byte)) != "v" {
			t.Errorf("%s: the passed value is %v, %v", parser.Name(), deep, err)
		}
		want := in
		want.Embedded.Name, want.private, want.Pass, out.Pass = "", nil, Value{}, Value{}
		if diff := cmp.Diff(want, out, cmp.AllowUnexported(outer{}, Value{})); diff != "" {
			t.Errorf("%s: %s", parser.Name(), diff)
		}
	}
}

func TestMarshalIsJSONsOwnWhereThereAreNoBytes(t *testing.T) {
	type plain struct {
		A int               `json:"a,omitempty"`
		B map[string]string `json:"b"`
		T time.Time
		R json.RawMessage
	}
	for _, v := range []any{
		plain{B: map[string]string{"k": "v"}, R: json.RawMessage(`[1]`)}, &plain{R: json.RawMessage(`1`)}, 1, int64(-5), uint8(3), 1.25, true, nil,
		"plain", "é \" \\ \n \x01 \u2028", []string{"a"}, map[int]string{1: "x"}, []any{1, "x", nil, map[string]any{}}, [2]int{1, 2},
		map[string]any{"z": 1, "a": []int{}}, (*int)(nil), []int(nil), struct{ X any }{X: &plain{R: json.RawMessage(`null`)}},
	} {
		args, attachments, err := Marshal(v)
		if err != nil || attachments != nil {
			t.Errorf("%v: %v, %d attachments", v, err, len(attachments))
			continue
		}
		want, _ := json.Marshal(v)
		var a, b any
		if json.Unmarshal(args[0], &a) != nil || json.Unmarshal(want, &b) != nil || !cmp.Equal(a, b) {
			t.Errorf("%#v: got %s, want %s", v, args[0], want)
		}
	}
}

func TestMarshalRefuses(t *testing.T) {
	type loop struct{ Next any }
	l := &loop{}
	l.Next = l
	for name, v := range map[string]any{
		"a channel": make(chan int), "NaN": math.NaN(), "bad raw JSON": json.RawMessage(`{"a":`),
		"a loop": l, "a function in an any": []any{func() {}},
	} {
		if args, _, err := Marshal(v); err == nil {
			t.Errorf("%s became %s", name, args)
		}
	}
}

func TestValueRenumbersAttachments(t *testing.T) {
	p, err := decodeAll(JSON.NewDecoder(Limits{}),
		text(`52-["x",{"_placeholder":true,"num":0},{"in":{"_placeholder":true,"num":1}}]`), bin("a"), bin("b"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewEvent("/", "y", []byte("new"), p.Values()[1])
	if err != nil {
		t.Fatal(err)
	}
	if got := string(again.Args[2]); got != `{"in":{"_placeholder":true,"num":1}}` || string(again.Attachments[1]) != "b" || len(again.Attachments) != 2 {
		t.Errorf("got %s with %q", got, again.Attachments)
	}
}

func TestDecodeSaysWhatIsWrong(t *testing.T) {
	v, err := RawValue(json.RawMessage(`{"room":5}`))
	if err != nil {
		t.Fatal(err)
	}
	var into struct {
		Room string `json:"room"`
	}
	if err := v.Decode(&into); err == nil || !strings.Contains(err.Error(), "room: number instead of string") {
		t.Errorf("got %v", err)
	}
	if _, err := RawValue(json.RawMessage(`{`)); err == nil {
		t.Error("half an object passed")
	}
}
