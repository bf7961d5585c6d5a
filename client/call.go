package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/autovoiced/autovoiced/client/wire"
)

// Voices lists the daemon's voices and profiles.
func Voices(ctx context.Context, server, token string) ([]wire.Voice, error) {
	var all []wire.Voice
	return all, call(ctx, http.MethodGet, server, "/v1/voices", token, nil, &all)
}

// Update changes how a session that is not one's own sounds, as the sound card's: id is from the status. What the daemon
// refuses is a *wire.Error.
func Update(ctx context.Context, server, token, id string, u wire.Update) (*wire.Updated, error) {
	body, err := json.Marshal(&u)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	var updated wire.Updated
	if err := call(ctx, http.MethodPatch, server, "/v1/sessions/"+url.PathEscape(id), token, body, &updated); err != nil {
		return nil, err
	}
	return &updated, nil
}

// call sends a plain request and reads its JSON answer, if one is wanted.
func call(ctx context.Context, method, server, path, token string, body []byte, answer any) error {
	if !strings.Contains(server, "://") {
		server = "http://" + server
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(server, "/")+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("client: address %q: %w", server, err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("client: %w (is the daemon running there?)", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return dialError(server+path, resp, fmt.Errorf("%s is not done", method))
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("client: %s%s: %w", server, path, err)
	}
	return nil
}
