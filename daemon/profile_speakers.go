package daemon

import "github.com/autovoiced/autovoiced/infer"

const (
	// otherClip is the similarity to the other clips below which a clip is somebody else's, and
	// otherWindows that between two groups of a clip's windows.
	otherClip, otherWindows = 0.72, 0.75
	// leastGroup is how many windows, and which share of a clip's, a second speaker must have.
	leastGroup, leastGroupShare = 3, 0.2
)

// compareSpeakers tells of clips that sound like somebody else than the others, and of clips in which
// more than one speaks.
func (s *student) compareSpeakers() {
	for i, own := range s.windows {
		source := s.clips[i].source
		if share, likeness := splitSpeakers(own); likeness < otherWindows {
			s.say(source, verdictSpeakers, "several speakers: about %.0f %% of it sounds like somebody else than the rest (similarity %.2f)", 100*share, likeness)
			continue
		}
		var others []infer.SpeakerWindow
		for j, w := range s.windows {
			if j != i {
				others = append(others, w...)
			}
		}
		if likeness, ok := likeness(own, others); ok && likeness < otherClip {
			s.say(source, verdictSpeakers, "another speaker than in the other clips (similarity %.2f)", likeness)
		}
	}
}

// likeness is the similarity of two groups' means.
func likeness(a, b []infer.SpeakerWindow) (similarity float64, ok bool) {
	ma, errA := infer.MeanEmbedding(a)
	mb, errB := infer.MeanEmbedding(b)
	if errA != nil || errB != nil {
		return 1, false
	}
	return infer.Similarity(ma, mb), true
}

// splitSpeakers parts windows into the two groups that differ most (2-means on the sphere) and
// returns the smaller one's share and how alike the two are; 0 and 1 when there is no second group
// worth the name.
func splitSpeakers(windows []infer.SpeakerWindow) (share, similarity float64) {
	middle, err := infer.MeanEmbedding(windows)
	if err != nil || len(windows) < 2*leastGroup {
		return 0, 1
	}
	first := farthest(windows, middle)
	centres := [2][]float32{first.Embedding, farthest(windows, first.Embedding).Embedding}
	var groups [2][]infer.SpeakerWindow
	for range 10 {
		groups = [2][]infer.SpeakerWindow{}
		for _, w := range windows {
			g := 0
			if infer.Similarity(w.Embedding, centres[1]) > infer.Similarity(w.Embedding, centres[0]) {
				g = 1
			}
			groups[g] = append(groups[g], w)
		}
		for g := range groups {
			if mean, err := infer.MeanEmbedding(groups[g]); err == nil {
				centres[g] = mean
			}
		}
	}
	smaller := min(len(groups[0]), len(groups[1]))
	share = float64(smaller) / float64(len(windows))
	if smaller < leastGroup || share < leastGroupShare {
		return 0, 1
	}
	return share, infer.Similarity(centres[0], centres[1])
}

// farthest is the window least like an embedding.
func farthest(windows []infer.SpeakerWindow, from []float32) infer.SpeakerWindow {
	out, least := windows[0], 2.0
	for _, w := range windows {
		if s := infer.Similarity(w.Embedding, from); s < least {
			out, least = w, s
		}
	}
	return out
}
