package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const measured = `{"machine":{"gpu":"NVIDIA X","driver":"580.1","cuda":"13.0","tensorrt":"10.6.0","onnxruntime":"1.31.1"},
	"chunk_tensorrt_fp16":{"p50_ms":0.25,"p99_ms":0.4,"max_ms":1.2,"seconds":60,"quantiles_ms":[0.2,0.25,0.4,1.2]},
	"chunk_cpu":{"p50_ms":3,"p99_ms":5,"max_ms":9,"seconds":20,"quantiles_ms":[3,5,9],"notes":["a < b"]},
	"first_start_seconds_fp16":71,"second_start":{"Seconds":0.4},"daemon_ready_seconds":[0.9,0.8],"gpu_memory_mib":{"before":500},
	"sessions":{"most_sessions_in_time":256,"crowds":[{"sessions":256,"sessions_in_time":256,"lateness_ms":{"p50":1,"p99":2}}]},"song_30_s":{"rtf":0.01},
	"song_30_s_job_tensorrt_fast":{"elapsed_p50_seconds":0.29,"elapsed_max_seconds":0.32,"first_wall_seconds":80.9,"middle_run":{"stage_timings_ms":{"separation":53,"mixing":78}}},
	"song_30_s_command_tensorrt_fast":{"elapsed_p50_seconds":0.3},
	"crowd_500":{"most_sessions_in_time":500,"seconds":60,"crowds":[{"sessions":500,"sessions_in_time":500,"lateness_ms":{"p50":3,"p99":8},
		"slow_runs":2,"clients_sent_late_ms":{"p99":1.5,"max":9},"hiccups":{"longest_ms":7,"collections":3},"client_hiccups":{"longest_ms":8,"collections":4}}]},
	"batch_parts":[{"sessions":64,"collect_us":20,"enter_us":30,"plain_enter_us":200,"run_us":400,"leave_us":31,"plain_leave_us":201,"deal_us":9,"tell_us":10}],
	"session_seconds":{"ep_context":0.16},"batches":{"refused":["256 sessions a run: too far"],
	"sizes":[{"sessions":64,"least":640000,"precision":"fp16","gate":{"log_spectral_db":0.01,"snr_db":63}}]}}`

func TestRender(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "results.json"), t.TempDir()
	if err := errors.Join(os.WriteFile(from, []byte(measured), 0o600), os.WriteFile(filepath.Join(filepath.Dir(from), "sessions.svg"), []byte("<svg/>"), 0o600), render(from, to)); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(to, "tensorrt.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| TensorRT fp16 | 0.250 ms | 0.400 ms |", "| CPU, one core | 3.000 ms |", "| first, fp16: builds the engine | 71.00 s |", "| first, fp32 | not measured |", "nothing lost: 500", "| 500 | 2 | 7.0 ms | 8.0 ms | 3, 4 | 0.00 | 1.50 ms, 9.0 ms |", "| 64 | 20 | 30 (200) | 400 | 31 (201) | 9 | 10 |", "| 500 | 60 s | 500 |", "| 256 | 0 s | 256 |", "| 64 | 0.640 ms | 10.0 µs | fp16 | 0.01 dB | 63 dB |", "Not used: 256 sessions a run: too far.", "0.16 s", "0.80 s", `"rtf": 0.01`,
		"| job | tensorrt fast | 0.290 s | 0.320 s | 53 ms | 0 ms | 0 ms | 78 ms | 80.9 s |\n| command | tensorrt fast | 0.300 s |",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	for _, name := range []string{"tensorrt-chunk.svg", "tensorrt-sessions.svg"} {
		f, err := os.Open(filepath.Join(to, name))
		if err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(f)
		for err == nil {
			_, err = d.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
		f.Close()
	}
	if err := os.WriteFile(from, []byte(`{"machine":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := render(from, to); err == nil || !strings.Contains(err.Error(), "no GPU") {
		t.Error(err)
	}
}
