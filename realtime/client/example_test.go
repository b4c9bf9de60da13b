package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/client"
)

// start serves what the examples talk to.
func start() (url string, stop func()) {
	io := realtime.New(realtime.Options{})
	chat := io.Of("/chat")
	chat.Use(func(s *realtime.Socket) error {
		var auth struct{ Token string }
		if s.Auth(&auth); auth.Token == "wrong" {
			return realtime.Refuse("unknown token", nil)
		}
		return nil
	})
	realtime.On(chat, "say", func(_ context.Context, s *realtime.Socket, text string) error {
		return chat.Emit("said", text)
	})
	realtime.Handle(chat, "double", func(_ context.Context, _ *realtime.Socket, n int) (int, error) { return 2 * n, nil })
	realtime.On0(chat, "quiz me", func(_ context.Context, s *realtime.Socket) error {
		go func() {
			answer, _ := realtime.Ask[string](s.Context(), s, "question", "who?")
			s.Emit("said", "the answer was "+answer)
		}()
		return nil
	})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	server := httptest.NewServer(mux)
	return server.URL, func() {
		io.Shutdown(context.Background())
		server.Close()
	}
}

// A program that stays connected: New, handlers, Run.
func ExampleClient_Run() {
	url, stop := start()
	defer stop()
	ctx, cancel := context.WithCancel(context.Background()) // signal.NotifyContext in a main
	defer cancel()

	c, err := client.New(url, client.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	chat := c.Of("/chat")
	chat.OnConnect(func(_ context.Context, s *client.Socket) { s.Emit("say", "hello") })
	client.On(chat, "said", func(_ context.Context, _ *client.Socket, text string) error {
		fmt.Println("heard", text)
		cancel()
		return nil
	})
	chat.OnDisconnect(func(_ *client.Socket, why client.Reason) { fmt.Println(why) })
	fmt.Println(c.Run(ctx))
	// Output:
	// heard hello
	// io client disconnect
	// <nil>
}

// A script that wants an answer.
func ExampleDial() {
	url, stop := start()
	defer stop()
	ctx := context.Background()

	chat, err := client.Dial(ctx, url+"/chat", client.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer chat.Close()
	n, err := client.Ask[int](ctx, chat, "double", 21)
	fmt.Println(n, err)
	// Output: 42 <nil>
}

// A server that does not let the client in.
func ExampleRefusal() {
	url, stop := start()
	defer stop()

	_, err := client.Dial(context.Background(), url+"/chat", client.Options{
		Auth: map[string]string{"token": "wrong"},
	})
	fmt.Println(err)
	// Output: server refused namespace /chat: unknown token
}

// What the server asks, Handle answers.
func ExampleHandle() {
	url, stop := start()
	defer stop()

	c, err := client.New(url, client.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	chat := c.Of("/chat")
	client.Handle(chat, "question", func(_ context.Context, _ *client.Socket, text string) (string, error) {
		return "me", nil
	})
	heard := make(chan string)
	client.On(chat, "said", func(_ context.Context, _ *client.Socket, text string) error {
		heard <- text
		return nil
	})
	if err := c.Connect(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	chat.Emit("quiz me")
	fmt.Println(<-heard)
	// Output: the answer was me
}
