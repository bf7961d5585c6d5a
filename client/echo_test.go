package client_test

import (
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/autovoiced/autovoiced/client/wire"
)

// echo is a server of the protocol for the examples, which answers with what it hears.
func echo() (url string, stop func()) {
	var all sync.WaitGroup
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		all.Add(1)
		defer all.Done()
		defer func() { _ = c.Close() }()
		if r.URL.Path == "/v1/status" {
			put(c, &wire.Status{State: "running"})
			put(c, &wire.Goodbye{Reason: "shutting_down"})
			return
		}
		converseWith(c)
	}))
	return srv.URL, func() { srv.Close(); all.Wait() }
}

func put(c *websocket.Conn, m wire.Message) {
	data, err := wire.Encode(m)
	if err != nil {
		panic(err)
	}
	_ = c.WriteMessage(websocket.TextMessage, data)
}

func converseWith(c *websocket.Conn) {
	var ledger wire.Ledger
	var format wire.Format
	sequence := uint32(0)
	for {
		kind, data, err := c.ReadMessage()
		if err != nil {
			return
		}
		if kind == websocket.BinaryMessage {
			frames := uint64(len(data)-wire.HeaderSize) / uint64(format.FrameBytes())
			ledger.In, ledger.Out = ledger.In+frames, ledger.Out+frames
			binary.LittleEndian.PutUint32(data[4:], sequence)
			sequence++
			_ = c.WriteMessage(kind, data)
			continue
		}
		m, _, werr := wire.DecodeClient(data)
		if werr != nil {
			put(c, werr)
			return
		}
		switch m := m.(type) {
		case *wire.Start:
			format = m.Format
			put(c, &wire.Ready{Version: wire.Version, Format: format, Voice: m.Voice})
		case *wire.Update:
			put(c, &wire.Updated{Voice: *m.Voice, Settings: wire.Settings{Mute: *m.Mute}})
		case *wire.Stop:
			put(c, &wire.Drained{Final: true, Ledger: ledger})
			bye(c, websocket.CloseNormalClosure, "")
			return
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	}
}
