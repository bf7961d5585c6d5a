// Package media reads and writes recordings: WAV, FLAC, MP3 and Ogg Vorbis in, WAV and FLAC out,
// in pieces and in bounded memory, with their tags.
//
// A recording is recognised by its content, never by its name. A Decoder gives one or two channels,
// mono or stereo as the recording has it; of more channels it makes stereo (see Stereo). What a
// file promises is held against what it has: one that is cut off is an error that says where, not
// a shorter recording.
//
// MP3 is as long as what was encoded, and in place to the sample: the delay of encoder and decoder
// and the padding of the last frame are cut off by the LAME tag. Without such a tag nothing is known
// of them, and nothing is cut off.
//
// Samples are float32 with full scale ±1, in one slice for each channel. Integers keep their value:
// a file of 16 or 24 bits that is read and written again has the same samples, bit for bit.
//
// An Encoder that Create made writes beside the final name and renames when all is written, so a
// reader finds the old file or the new one and an interrupted program leaves none.
package media
