// Command pipe is a voice converter for a pipe: PCM in, PCM out, over the protocol's simplest form. Audio frames are bare
// samples (?framing=raw), and all there is beside them are two lines of JSON.
//
//	arecord -q -t raw -f S16_LE -r 16000 -c 1 | go run ./client/examples/pipe -rate 16000 | aplay -q -t raw -f S16_LE -r 16000 -c 1
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/gorilla/websocket"
)

func main() {
	url := flag.String("url", "ws://127.0.0.1:8484", "where the daemon is")
	rate := flag.Int("rate", 16000, "of the samples, in Hz; they are s16le, mono")
	voice := flag.String("voice", "", "who speaks; the daemon's default")
	token := flag.String("token", "", "where the daemon wants one")
	flag.Parse()
	if err := pipe(*url, *rate, *voice, *token); err != nil {
		fmt.Fprintln(os.Stderr, "pipe:", err)
		os.Exit(1)
	}
}

func pipe(url string, rate int, voice, token string) error {
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	conn, resp, err := websocket.DefaultDialer.Dial(url+"/v1/stream?framing=raw", header)
	if err != nil {
		return err
	}
	defer func() { _, _ = resp.Body.Close(), conn.Close() }()
	start := fmt.Sprintf(`{"type":"start","voice":%q,"format":{"encoding":"s16le","rate":%d,"channels":1}}`, voice, rate)
	if err := conn.WriteMessage(websocket.TextMessage, []byte(start)); err != nil {
		return err
	}
	go send(conn, make([]byte, rate/50*2)) // 20 ms at a time
	for {
		kind, data, err := conn.ReadMessage()
		switch {
		case websocket.IsCloseError(err, websocket.CloseNormalClosure): // after the last sample
			return nil
		case err != nil:
			return err // the reason of a close is the daemon's error code
		case kind == websocket.TextMessage:
			fmt.Fprintf(os.Stderr, "%s\n", data)
			continue
		}
		if _, err := os.Stdout.Write(data); err != nil {
			return err
		}
	}
}

// send is the other direction: standard input to its end, then stop.
func send(conn *websocket.Conn, buf []byte) {
	for {
		n, err := io.ReadFull(os.Stdin, buf)
		if n > 0 && conn.WriteMessage(websocket.BinaryMessage, buf[:n-n%2]) != nil {
			return
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"stop"}`))
			return
		}
	}
}
