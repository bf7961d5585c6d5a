// Package streamtest holds what tests of streaming code share: a clock that moves by hand, a tone
// to feed, a recorder to listen with, and the contract checks that every Stage, Source and Sink
// must pass (CheckStage, CheckSource, CheckSink). The checks are themselves tested: each rule has
// a broken implementation that it must catch.
package streamtest
