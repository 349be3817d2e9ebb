"""What every agent of one host says of itself, read from the files that muster-fault-agent writes:

    run EPOCH                                                  a start
    present MONOTONIC_US KEY STATUS NUMBER                     the source changed a deployment
    recorded EPOCH LANE SEQUENCE KEY CHANGE_US STATUS NUMBER   committed to the journal; other records have "-" and 0
    acked EPOCH LANE SEQUENCE                                  everything up to it, by the hub
    dropped TOTAL                                              the journal's own count
"""

import collections

EVENTS, LOGS = 1, 2
Record = collections.namedtuple("Record", "epoch lane sequence key change_us status number")
Present = collections.namedtuple("Present", "monotonic_us key status number")


class Oracle:
    def __init__(self, directory):
        self._directory = directory
        self._files = []
        self._account = Account()

    def next_file(self):
        self._files.append(self._directory / f"oracle-{len(self._files) + 1}")
        return self._files[-1]

    def read(self):
        """The files' content as of now; the same account each time, grown."""
        return self._account.follow(self._files)


class Account:
    """The files' content as of now. A last line that a kill cut short is left out."""

    def __init__(self):
        self._places = {}  # file -> how far it has been read
        self.records = {}  # (epoch, lane, sequence) -> Record
        self.acked = collections.defaultdict(int)  # (epoch, lane) -> sequence
        self.presents = []
        self.present = {}  # key -> the newest Present of the newest run
        self.dropped = 0
        self.epochs = []
        self.contradictions = []

    def follow(self, files):
        for path in files:
            if path not in self._places:
                self._places[path] = 0
                self.present = {}
            if path.exists():
                self._read(path)
        return self

    def _read(self, path):
        with path.open("rb") as file:
            file.seek(self._places[path])
            new = file.read()
        complete = new.rfind(b"\n") + 1
        self._places[path] += complete
        dropped = 0
        for line in new[:complete].decode().split("\n")[:-1]:
            kind, *words = line.split(" ")
            if kind == "run":
                self.epochs.append(words[0])
            elif kind == "present":
                present = Present(int(words[0]), words[1], int(words[2]), words[3])
                self.presents.append(present)
                self.present[present.key] = present
            elif kind == "recorded":
                record = Record(words[0], int(words[1]), int(words[2]), words[3], int(words[4]), int(words[5]), words[6])
                name = record[:3]
                if self.records.setdefault(name, record) != record:
                    self.contradictions.append(f"two records are named {name}")
            elif kind == "acked":
                name = (words[0], int(words[1]))
                self.acked[name] = max(self.acked[name], int(words[2]))
            elif kind == "dropped":
                dropped = int(words[0])
        self.dropped = max(self.dropped, dropped)
