// Package song has a song, or a recording of speech, sung or spoken by another voice, with its music as it was.
//
// # The call
//
// Convert is all of it. A registry opens the voices, an engine and a target say who sings:
//
//	voices, err := infer.NewRegistry(infer.DefaultConfig())
//	engine, err := voices.Engine("alma")
//	target, err := engine.Target("alma")
//	result, err := song.Convert(ctx, "song.mp3", "alma.flac", song.Singer{Engine: engine, Target: target}, song.Default())
//
// # What happens to a song
//
// It is read twice. The first time it is listened to: voice and music are parted, the vocals go on tape (a file without a
// name beside the result), and their pitch is kept, 100 values a second. When all of it is known, slips of the pitch
// are mended, and it is decided whether anybody sings and by how much to shift them. The second time it is performed: the
// vocals are converted, and the voice is put into their place.
//
//	song ─> read ─> separation ─┬─> tape            tape ─> conversion ─┐
//	                            └─> f0_extraction   song, tape ─────────┴─> mixing ─> result
//
// Each word is a goroutine, and between them are so many blocks and no more: who is ahead waits. All of it is streamed, with
// state from hop to hop: there are no segments, so no seams, and an hour takes no more memory than a minute but for
// its pitch curve (2 MB).
//
// # Pitch
//
// Files are followed better than live voices can be, because one may look ahead (follower, path): the cheapest way through all that the
// live tracker thinks possible, in which a network (infer.SongPitch, where it is installed) has a say, moment by moment as sure
// as it is. A moment is decided upon when another second was heard.
//
// # Alignment
//
// Everything has the song's time. A separator and a voice say how late they are, to the frame, and that much is left out at
// the beginning and made up for at the end; resamplers have no delay in the signal (package dsp). The music is the
// song less the vocals, so that where neither is changed the result is the song, sample for sample.
//
// # Time
//
// The stages work at the same time. Each moment is shared among those that compute in it (Timings), so the stages' times add up to
// the total but for moments in which none does.
package song
