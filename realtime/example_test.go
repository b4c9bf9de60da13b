package realtime_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/client"
	"server22.local/appliance/realtime/packet"
)

func Example() {
	io := realtime.New(realtime.Options{})
	realtime.On(io, "chat message", func(_ context.Context, _ *realtime.Socket, text string) error {
		return io.Emit("chat message", text)
	})
	http.Handle("/socket.io/", io)
	log.Fatal(http.ListenAndServe(":3000", nil))
}

// A server that ends in an orderly way: clients are told, and come back when
// it is there again.
func ExampleServer_Shutdown() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	io := realtime.New(realtime.Options{})
	server := &http.Server{Addr: ":3000", Handler: io}
	context.AfterFunc(ctx, func() {
		patience, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := io.Shutdown(patience); err != nil {
			log.Print(err)
		}
		server.Shutdown(patience)
	})
	log.Print(server.ListenAndServe())
}

// A middleware decides who gets into a namespace.
func ExampleNamespace_Use() {
	io := realtime.New(realtime.Options{})
	io.Of("/admin").Use(func(s *realtime.Socket) error {
		var auth struct{ Token string }
		if err := s.Auth(&auth); err != nil || auth.Token != "secret" {
			return realtime.Refuse("unauthorized", nil)
		}
		return nil
	})

	for _, token := range []string{"guessed", "secret"} {
		_, stop, err := dial(io, "/admin", client.Options{Auth: map[string]string{"token": token}})
		fmt.Println(token, err)
		stop()
	}
	// Output:
	// guessed server refused namespace /admin: unauthorized
	// secret <nil>
}

// Namespaces that are made when a client asks for them, and go with the last
// one.
func ExampleServer_OfPattern() {
	io := realtime.New(realtime.Options{})
	games := io.OfPattern(regexp.MustCompile(`^/game/[a-z]+$`))
	realtime.Handle0(games, "where am i", func(_ context.Context, s *realtime.Socket) (string, error) {
		return s.Namespace().Name(), nil
	})

	s, stop, err := dial(io, "/game/chess", client.Options{})
	defer stop()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.Ask[string](context.Background(), s, "where am i"))
	// Output: /game/chess <nil>
}

// What a socket sends to a room, all others in it receive.
func ExampleSocket_To() {
	io := realtime.New(realtime.Options{})
	realtime.On2(io, "enter", func(_ context.Context, s *realtime.Socket, room, name string) error {
		s.Join(room)
		return s.To(room).Emit("entered", name)
	})

	ada, stop := talk(io)
	defer stop()
	bob, stop := talk(io)
	defer stop()
	entered := make(chan string)
	client.On(ada, "entered", func(_ context.Context, _ *client.Socket, name string) error {
		entered <- name
		return nil
	})
	client.Ask[client.Args](context.Background(), ada, "enter", "lobby", "ada")
	bob.Emit("enter", "lobby", "bob")
	fmt.Println(<-entered)
	// Output: bob
}

// A client that has no library: any WebSocket will do.
func ExampleServer_Plain() {
	io := realtime.New(realtime.Options{})
	realtime.Handle(io.Of("/chat"), "shout", func(_ context.Context, _ *realtime.Socket, text string) (string, error) {
		return strings.ToUpper(text), nil
	})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	mux.Handle("/ws", io.Plain("/chat"))
	server := httptest.NewServer(mux)
	defer server.Close()
	defer io.Shutdown(context.Background())

	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/ws", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ws.Close()
	ws.ReadMessage() // {"sid": …}
	ws.WriteMessage(websocket.TextMessage, []byte(`{"event": "shout", "args": ["hello"], "id": 1}`))
	_, answer, _ := ws.ReadMessage()
	fmt.Println(string(answer))
	// Output: {"ack":1,"args":["HELLO"]}
}

func ExampleValue() {
	// An argument that is only passed on is not decoded.
	p, _ := packet.NewEvent("/", "upload", map[string]any{"name": "a.txt", "data": []byte("hello")})
	var file struct {
		Name string
		Data []byte
	}
	err := p.Values()[0].Decode(&file)
	fmt.Println(file.Name, string(file.Data), err)
	// Output: a.txt hello <nil>
}

// talk connects a client to the main namespace.
func talk(io *realtime.Server) (s *client.Socket, stop func()) {
	s, stop, err := dial(io, "/", client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	return s, stop
}

// dial starts a server on a free port and connects a client to a namespace.
func dial(io *realtime.Server, namespace string, o client.Options) (s *client.Socket, stop func(), err error) {
	server := httptest.NewServer(io)
	s, err = client.Dial(context.Background(), server.URL+namespace, o)
	return s, func() {
		if err == nil {
			s.Close()
		}
		server.Close()
	}, err
}

// What a handler returns is the acknowledgement; a Refusal is one too.
func ExampleHandle() {
	io := realtime.New(realtime.Options{})
	realtime.Handle2(io, "divide", func(_ context.Context, _ *realtime.Socket, a, b int) (int, error) {
		if b == 0 {
			return 0, realtime.Refuse("division by zero", nil)
		}
		return a / b, nil
	})

	s, stop := talk(io)
	defer stop()
	fmt.Println(client.Ask[int](context.Background(), s, "divide", 42, 6))
	fmt.Println(client.Ask[int](context.Background(), s, "divide", 42, 0))
	// Output:
	// 7 <nil>
	// 0 asking "divide": division by zero
}

// The server asks a client, from within a handler.
func ExampleAsk() {
	io := realtime.New(realtime.Options{})
	realtime.Handle0(io, "greet me", func(ctx context.Context, s *realtime.Socket) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		name, err := realtime.Ask[string](ctx, s, "who are you?")
		return "hello " + name, err
	})

	s, stop := talk(io)
	defer stop()
	client.Handle0(s, "who are you?", func(context.Context, *client.Socket) (string, error) { return "ada", nil })
	fmt.Println(client.Ask[string](context.Background(), s, "greet me"))
	// Output: hello ada <nil>
}

// The server asks everybody in a room.
func ExampleAskAll() {
	io := realtime.New(realtime.Options{})
	realtime.Handle(io, "vote", func(ctx context.Context, s *realtime.Socket, question string) (map[string]int, error) {
		votes := make(map[string]int)
		for _, answer := range realtime.AskAll[string](ctx, io.Timeout(5*time.Second), "question", question) {
			if answer.Err == nil {
				votes[answer.Value]++
			}
		}
		return votes, nil
	})

	s, stop := talk(io)
	defer stop()
	client.Handle(s, "question", func(context.Context, *client.Socket, string) (string, error) { return "yes", nil })
	fmt.Println(client.Ask[map[string]int](context.Background(), s, "vote", "lunch?"))
	// Output: map[yes:1] <nil>
}

// An operator can be kept and shared: narrowing it makes another one.
func ExampleBroadcastOperator() {
	io := realtime.New(realtime.Options{})
	io.OnConnect(func(s *realtime.Socket) { s.Join("news") })
	news := io.To("news")
	urgent := news.Except("sleeping")
	ticker := news.Volatile() // dropped for those who cannot keep up

	s, stop := talk(io)
	defer stop()
	got := make(chan string)
	client.On(s, "headline", func(_ context.Context, _ *client.Socket, text string) error {
		got <- text
		return nil
	})
	news.Emit("headline", "rain")
	fmt.Println(<-got)
	urgent.Emit("headline", "storm")
	fmt.Println(<-got)
	ticker.Emit("headline", "sun")
	fmt.Println(<-got)
	// Output:
	// rain
	// storm
	// sun
}

// A middleware for everything that a namespace emits.
func ExampleNamespace_UseOutgoing() {
	io := realtime.New(realtime.Options{})
	io.UseOutgoing(func(o *realtime.Outgoing) error {
		fmt.Println(o.Event(), "for", o.Rooms)
		return o.Append("signed")
	})
	io.To("lobby").Emit("hello")
	// Output: hello for [lobby]
}
