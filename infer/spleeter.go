package infer

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
)

// SeparatorSpleeter is the name of Spleeter's separation into two stems (Deezer Research, MIT licence): two U-nets
// that look at the loudness of 512 frames at once, one for the voice, one for the rest.
const SeparatorSpleeter = "spleeter"

// What Spleeter was trained with.
const (
	spleeterSize   = 4096 // samples of a frame, seen through a Hann window
	spleeterHop    = songHop
	spleeterFrames = 512  // frames that the network sees at once
	spleeterBins   = 1024 // the lower half of the spectrum, up to 11 kHz
)

// spleeterVersion is the package that `make deps` takes the checkpoint from.
const spleeterVersion = "2.1.0"

// spleeterFiles are what the network is read from, in the folder that `make deps` fills.
var spleeterFiles = [...]string{"model.index", "model.data-00000-of-00001"}

// spleeterFolder is where `make deps` puts the checkpoint.
func spleeterFolder() (string, error) {
	return installed("spleeter-2stems-" + spleeterVersion)
}

// spleeterInstalled says whether the checkpoint is there.
func spleeterInstalled() bool {
	folder, err := spleeterFolder()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(folder, spleeterFiles[1]))
	return err == nil
}

// readSpleeter reads the checkpoint that `make deps` installed and makes the network of it.
// With even padding, the network is one that CUDA's provider takes.
func readSpleeter(both, even bool) ([]byte, error) {
	folder, err := spleeterFolder()
	if err != nil {
		return nil, err
	}
	var parts [len(spleeterFiles)][]byte
	for i, name := range spleeterFiles {
		parts[i], err = os.ReadFile(filepath.Join(folder, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("not installed: no %s in %s; `make deps` installs it", name, folder)
		}
		if err != nil {
			return nil, err
		}
	}
	c, err := readCheckpoint(parts[0], parts[1])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	model, err := spleeterModel(c, both, even)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	return model, nil
}

// spleeterInput is the magnitude of the spectra, and spleeterOutput the share of the voice in their power.
func spleeterInput() tensor {
	return tensor{"magnitude", elemFloat, []int64{1, songChannels, spleeterFrames, spleeterBins}}
}

func spleeterOutput() tensor {
	return tensor{"mask", elemFloat, []int64{1, songChannels, spleeterFrames, spleeterBins}}
}

// spleeterModel writes the network as ONNX. With both U-nets the mask is the voice's share of what the two find;
// with one it is what the voice's own says, which takes half as long.
//
// Transposed convolutions are padded by one more at the end than at the beginning, which CUDA's provider leaves to the CPU. Even
// pads both by one and cuts the rest off, which is the same and costs a copy.
func spleeterModel(c *checkpoint, both, even bool) ([]byte, error) {
	u := &unet{checkpoint: c, even: even}
	u.input(spleeterInput())
	voice := u.stem("magnitude", 0)
	if both {
		rest := u.stem("magnitude", 1)
		voice, rest = u.node("Mul", []string{voice, voice}), u.node("Mul", []string{rest, rest})
		tiny := u.weight([]float32{1e-10}, 1)
		u.nodeTo("mask", "Div", []string{voice, u.node("Add", []string{u.node("Add", []string{voice, rest}), tiny})})
	} else {
		u.nodeTo("mask", "Identity", []string{voice})
	}
	u.output(spleeterOutput())
	return u.model("spleeter"), u.err
}

// unet writes Spleeter's U-nets. It keeps the first error.
type unet struct {
	graphWriter
	checkpoint *checkpoint
	even       bool
	err        error
}

var unetWidths = [...]int{16, 32, 64, 128, 256, 512}

// stem writes U-net number n and returns its mask, 0 to 1. Keras counted its layers through all U-nets.
func (u *unet) stem(x string, n int) string {
	depth := len(unetWidths)
	convs, ups, norms := n*(depth+1), n*depth, n*2*depth
	skips := make([]string, depth)
	channels := songChannels
	for i, width := range unetWidths {
		kernel := u.turned(u.values("conv2d", convs+i, "kernel", 5, 5, channels, width), 25, channels, width)
		bias := u.weight(u.values("conv2d", convs+i, "bias", width), width)
		skips[i] = u.node("Conv", []string{x, u.weight(kernel, width, channels, 5, 5), bias}, ints("strides", 2, 2), ints("pads", 1, 1, 2, 2))
		x = u.node("LeakyRelu", []string{u.normal(skips[i], norms+i, width)}, number("alpha", 0.2))
		channels = width
	}
	x = skips[depth-1] // the last normalisation leads nowhere
	for i := range depth {
		width := 1
		if i < depth-1 {
			width = unetWidths[depth-2-i]
		}
		kernel := u.turned(u.values("conv2d_transpose", ups+i, "kernel", 5, 5, width, channels), 25, width, channels)
		bias := u.weight(u.values("conv2d_transpose", ups+i, "bias", width), width)
		x = u.up([]string{x, u.weight(kernel, channels, width, 5, 5), bias})
		x = u.normal(u.node("Relu", []string{x}), norms+depth+i, width)
		if channels = width; i < depth-1 {
			x = u.node("Concat", []string{skips[depth-2-i], x}, integer("axis", 1))
			channels *= 2
		}
	}
	kernel := u.turned(u.values("conv2d", convs+depth, "kernel", 4, 4, 1, songChannels), 16, 1, songChannels)
	bias := u.weight(u.values("conv2d", convs+depth, "bias", songChannels), songChannels)
	x = u.node("Conv", []string{x, u.weight(kernel, songChannels, 1, 4, 4), bias}, ints("dilations", 2, 2), ints("pads", 3, 3, 3, 3))
	return u.node("Sigmoid", []string{x})
}

// up doubles both sides.
func (u *unet) up(inputs []string) string {
	if !u.even {
		return u.node("ConvTranspose", inputs, ints("strides", 2, 2), ints("pads", 1, 1, 2, 2))
	}
	x := u.node("ConvTranspose", inputs, ints("strides", 2, 2), ints("pads", 1, 1, 1, 1))
	return u.node("Slice", []string{x, u.whole(0, 0), u.whole(-1, -1), u.whole(2, 3)})
}

// values are those of a layer's variable.
func (u *unet) values(layer string, number int, name string, shape ...int) []float32 {
	if number > 0 {
		layer = fmt.Sprint(layer, "_", number)
	}
	v, err := u.checkpoint.floats(layer+"/"+name, shape...)
	if err != nil && u.err == nil {
		u.err = err
	}
	if err != nil {
		n := 1
		for _, d := range shape {
			n *= d
		}
		return make([]float32, n)
	}
	return v
}

// turned puts a kernel [taps, a, b] as [b, a, taps]: TensorFlow has the channels last.
func (u *unet) turned(kernel []float32, taps, a, b int) []float32 {
	out := make([]float32, len(kernel))
	for t := range taps {
		for i := range a {
			for j := range b {
				out[(j*a+i)*taps+t] = kernel[(t*a+i)*b+j]
			}
		}
	}
	return out
}

// normal writes a batch normalisation as a gain and an offset a channel.
func (u *unet) normal(x string, number, width int) string {
	const epsilon = 1e-3
	gain, offset := u.values("batch_normalization", number, "gamma", width), u.values("batch_normalization", number, "beta", width)
	mean, variance := u.values("batch_normalization", number, "moving_mean", width), u.values("batch_normalization", number, "moving_variance", width)
	for i := range gain {
		gain[i] /= float32(math.Sqrt(float64(variance[i]) + epsilon))
		offset[i] -= mean[i] * gain[i]
	}
	x = u.node("Mul", []string{x, u.weight(gain, width, 1, 1)})
	return u.node("Add", []string{x, u.weight(offset, width, 1, 1)})
}
