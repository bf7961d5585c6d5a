// Package report tells of an offline run: what the files in validation_results say and, when they are
// given, what the recordings before and after hold. It renders Markdown, for a terminal or a pull
// request, and one HTML page that needs nothing beside itself: no script, no font, no other file.
//
// What has no file is left out and said so. A file that is there and cannot be read is an error: a
// report that leaves out a figure because it was damaged would look like one that has no such figure.
package report
