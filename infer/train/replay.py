"""Many small steps on a GPU, without the time that launching each of them takes."""
import torch


class Replay:
    """Calls f, which takes nothing, again and again. On a GPU its kernels, some thousands of them, are recorded the first time and then
    replayed at once: launching them one by one takes longer than they do. So f must read and write tensors that stay where they
    are, of sizes that never change, may not wait for the device, and gives the same tensors each time, with new values."""
    def __init__(self, f, warm=3):
        self.f, self.warm, self.graph, self.found = f, warm, None, None

    def __call__(self):
        if not torch.cuda.is_available():
            return self.f()
        if self.graph is None:
            self.record()
        self.graph.replay()
        return self.found

    def record(self):
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):                                          # libraries choose their kernels and take their memory
            for _ in range(self.warm):
                self.f()
        torch.cuda.current_stream().wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, capture_error_mode='thread_local'):      # other threads may ask the device what they like
            self.found = self.f()
