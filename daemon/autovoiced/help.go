package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/autovoiced/autovoiced/infer"
)

// example is a line that somebody may type. A test parses every one.
type example struct{ line, what string }

// examples are by command; "" is the program's.
var examples = map[string][]example{
	"": {
		{"autovoiced", "run the daemon: http://127.0.0.1:8484"},
		{"autovoiced --profile", "watch it; start one if none runs"},
		{"autovoiced --profile --json", "for programs, one JSON a line"},
		{"autovoiced live --voice nara", "speak as somebody else"},
		{"autovoiced convert song.mp3 -o song.flac", "convert a song, or a recording"},
		{"autovoiced profiles add anna me.wav", "a voice from a recording"},
	},
	"serve": {
		{"autovoiced --check --config studio.yaml", "say whether the settings are sound, and exit with 0 or 3"},
		{"autovoiced --profile", "watch the daemon that runs, or start one and watch it"},
		{"autovoiced --profile --json | jq .totals", "the same for programs, one JSON a line"},
		{"AUTOVOICED_HTTP_LISTEN=127.0.0.1:9000 autovoiced", "any setting from the environment"},
	},
	"live": {
		{"autovoiced live", "default devices and voice; ? shows the keys"},
		{"autovoiced live --voice bruno --pitch -4", "a voice by name, four semitones down whoever speaks"},
		{"autovoiced live --input USB --output CABLE", "devices by a part of their names"},
		{"autovoiced live --monitor", "hear the microphone alone, to set levels"},
		{"autovoiced live --json > live.jsonl", "keep the figures, one JSON a line"},
	},
	"stream": {
		{"autovoiced stream in.wav -o out.wav --realtime", "as if somebody spoke, and how late each reply is"},
		{"autovoiced stream in.wav -o out.wav --url http://studio:8484 --token SECRET", "a daemon elsewhere"},
	},
	"convert": {
		{"autovoiced convert song.mp3 -o song.flac --voice alma", "another singer, the music as it was"},
		{"autovoiced convert song.mp3 -o song.flac --music-gain -48", "the singer alone"},
		{"autovoiced convert in.wav -o out.wav --voice livia --pitch auto", "as a named voice, the pitch brought to hers"},
		{"autovoiced convert in.wav -o out.wav --reference anna.wav", "as whoever speaks in a recording"},
	},
	"voices": {
		{"autovoiced voices", "names, pitch, licence"},
		{"autovoiced voices --references samples", "hear each: a recording of its own speaker"},
	},
	"profiles": {
		{"autovoiced profiles add anna one.wav two.flac", "5 s of speech at least; 10 to 30 s are better"},
		{"autovoiced live --voice anna", "and speak with it"},
		{"autovoiced profiles export anna -o anna.zip", "carry it to another machine: profiles import anna.zip"},
	},
	"profiles show": {
		{"autovoiced profiles show anna", "pitch, and how good each recording is"},
		{"autovoiced profiles show anna --json | jq .embedding > anna.json", "for convert --embedding"},
	},
	"profiles remove": {
		{"autovoiced profiles remove anna", "who speaks with it goes on"},
	},
	"profiles import": {
		{"autovoiced profiles import anna.zip", "as anna"},
		{"autovoiced profiles import anna.zip --name anna-2", "where there is an anna already"},
	},
	"profiles refresh": {
		{"autovoiced profiles refresh anna", "after an update, where anna is refused or has no tone"},
	},
	"devices": {
		{"autovoiced devices", "what --input and --output may name"},
	},
	"bench": {
		{"autovoiced bench", "how many voices this machine carries, and how late they are"},
		{"autovoiced bench --json", "the same for programs"},
		{"autovoiced bench --sessions 1,4,8 --for 20s --plot delay.svg", "how late 1, 4 and 8 clients are at once"},
	},
	"engines": {
		{"autovoiced engines build --precision fp16", "before the first start, not during it"},
		{"autovoiced engines verify", "exit code 6 where a file is not what was built"},
	},
	"engines build": {
		{"autovoiced engines build --precision fp16 --hops 1", "what is live, alone and in crowds"},
		{"autovoiced engines build --precision fp16 --songs", "everything, songs as well"},
	},
	"engines clean": {
		{"autovoiced engines clean", "what is damaged, or half built"},
		{"autovoiced engines clean --all", "everything: the next start takes minutes"},
	},
	"report": {
		{"autovoiced report", "what the last convert took, from validation_results"},
		{"autovoiced report --before song.flac --after out.flac", "with pitch and spectrograms of both"},
	},
	"completion": {
		{"source <(autovoiced completion bash)", "bash: in ~/.bashrc"},
		{"autovoiced completion zsh > ~/.zfunc/_autovoiced", "zsh: fpath has ~/.zfunc"},
		{"autovoiced completion fish | source", "fish: in config.fish"},
	},
}

// environment is what the program reads beside the settings.
var environment = []example{
	{"AUTOVOICED_SECTION_KEY", "sets section.key, as AUTOVOICED_AUDIO_INPUT"},
	{infer.EnvLibrary, "path of ONNX Runtime's library"},
	{infer.EnvModels, "folder of the models for songs"},
	{"XDG_CACHE_HOME", "for all of these and TensorRT's engines (~/.cache)"},
	{"XDG_DATA_HOME", "for profiles (~/.local/share)"},
	{"NO_COLOR", "whatever it is set to: no colours"},
}

// helpWidth is how wide kong's part is where there is no terminal.
const helpWidth = 80

// printHelp is kong's help, and examples after it; the program's own ends with the environment and the exit codes.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	out := ctx.Stdout
	var text bytes.Buffer
	ctx.Stdout = &text
	err := kong.DefaultHelpPrinter(options, ctx)
	ctx.Stdout = out
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, strings.TrimRight(withoutClosing(text.String()), "\n")+"\n"+guide(ctx))
	return err
}

// withoutClosing takes kong's last line out, which stands better at the very end.
func withoutClosing(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if last := len(lines) - 1; strings.HasPrefix(lines[last], "Run \"") {
		lines = lines[:last]
	}
	return strings.Join(lines, "\n")
}

func guide(ctx *kong.Context) string {
	var b strings.Builder
	node := ctx.Selected()
	if node == nil {
		b.WriteString("\nFlags without a command:\n")
		b.WriteString(flagTable(ctx.Model.DefaultCmd))
		writeTable(&b, "Examples", examples[""])
		writeTable(&b, "Environment", environment)
		b.WriteString("\nExit codes:\n")
		for _, c := range exitCodes {
			fmt.Fprintf(&b, "  %3d  %s\n", c.code, c.text)
		}
		b.WriteString("\n\"autovoiced help COMMAND\" tells more of a command.\n")
		return b.String()
	}
	for ; node != nil; node = node.Parent {
		if e := examples[commandPath(node)]; e != nil && commandPath(node) != "" {
			writeTable(&b, "Examples", e)
			break
		}
	}
	b.WriteString("\nEnvironment and exit codes: autovoiced help\n")
	return b.String()
}

// commandPath is the words of a command, as in "profiles add".
func commandPath(node *kong.Node) string {
	if node == nil || node.Type == kong.ApplicationNode {
		return ""
	}
	return strings.TrimSpace(commandPath(node.Parent) + " " + node.Name)
}

func flagTable(node *kong.Node) string {
	var b strings.Builder
	for _, f := range node.Flags {
		if !f.Hidden {
			fmt.Fprintf(&b, "      --%-10s %s\n", f.Name, f.Help)
		}
	}
	return b.String()
}

// writeTable sets what a line does beside it, or below it where lines are long.
func writeTable(b *strings.Builder, title string, rows []example) {
	width, what := 0, 0
	for _, r := range rows {
		width, what = max(width, len(r.line)), max(what, len(r.what))
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	for _, r := range rows {
		if 2+width+2+what > helpWidth {
			fmt.Fprintf(b, "  %s\n      %s\n", r.line, r.what)
			continue
		}
		fmt.Fprintf(b, "  %-*s  %s\n", width, r.line, r.what)
	}
}
