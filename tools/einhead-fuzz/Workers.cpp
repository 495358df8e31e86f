//===- Workers.cpp - Cases in processes of their own ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Workers.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace json = llvm::json;

namespace einhead::fuzz {
namespace {

/// A forked process and the cases that it has still to do.
struct Worker {
  uint64_t next = 0, end = 0; ///< `next` is under way, or starts
  uint64_t begin = 0;         ///< the first of the process
  /// A crash that is tried again in a new process, and where its old one began.
  std::string crash;
  uint64_t crashed = 0, since = 0;
  pid_t process = -1;
  int results = -1, errors = -1; ///< descriptors
  std::string buffer;
  bool isAlive() const { return process > 0; }
};

double now() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

/// In the worker: writes a line for each case.
[[noreturn]] void work(const WorkerOptions &options, uint64_t first,
                       uint64_t end, const std::function<Work()> &start,
                       int to) {
  Work run = start();
  llvm::raw_fd_ostream out(to, /*shouldClose=*/false);
  for (uint64_t number = first; number < end; ++number) {
    alarm(options.secondsPerCase);
    double begin = now();
    Outcome outcome = run(number);
    alarm(0);
    out << json::Value(
               json::Object{{"n", static_cast<int64_t>(number)},
                            {"kind", static_cast<int64_t>(outcome.kind)},
                            {"why", json::fixUTF8(outcome.why)},
                            // JSON has no infinity.
                            {"ratio", std::min(outcome.ratio, 1e300)},
                            {"tiled", outcome.tiled},
                            {"twin", outcome.twin},
                            {"seconds", now() - begin}})
        << "\n";
    out.flush();
  }
  // Destructors have nothing left to say.
  _exit(0);
}

CaseResult parseLine(llvm::StringRef line) {
  CaseResult result;
  auto value = json::parse(line);
  if (!value) {
    llvm::consumeError(value.takeError());
    result.outcome.kind = Outcome::Finding;
    result.outcome.why = "a worker's line does not parse: " + line.str();
    return result;
  }
  const json::Object &object = *value->getAsObject();
  result.number = result.since = object.getInteger("n").value_or(0);
  result.outcome.kind =
      static_cast<Outcome::Kind>(object.getInteger("kind").value_or(0));
  result.outcome.why = object.getString("why").value_or("").str();
  result.outcome.ratio = object.getNumber("ratio").value_or(0);
  result.outcome.tiled = object.getBoolean("tiled").value_or(false);
  result.outcome.twin = object.getBoolean("twin").value_or(false);
  result.seconds = object.getNumber("seconds").value_or(0);
  return result;
}

/// All the workers of a run.
class Crew {
public:
  Crew(const WorkerOptions &options, const std::function<Work()> &start,
       const std::function<void(const CaseResult &)> &onResult)
      : options(options), startWorker(start), onResult(onResult),
        nextCase(options.first), workers(options.processes) {}

  void run();

private:
  bool assign(Worker &worker);
  void launch(Worker &worker);
  void receive(Worker &worker);
  void ended(Worker &worker);
  std::string lastWords(Worker &worker, int status) const;

  const WorkerOptions &options;
  const std::function<Work()> &startWorker;
  const std::function<void(const CaseResult &)> &onResult;
  uint64_t nextCase;
  std::vector<Worker> workers;
};

} // namespace

/// Gives it the next cases, where there are any.
bool Crew::assign(Worker &worker) {
  uint64_t end = options.first + options.count;
  if (worker.next == worker.end) {
    worker.next = nextCase;
    nextCase = worker.end = std::min(end, nextCase + options.batch);
  }
  return worker.next < worker.end;
}

void Crew::launch(Worker &worker) {
  int ends[2];
  FILE *errors = tmpfile();
  if (pipe(ends) != 0 || !errors)
    llvm::report_fatal_error("einhead-fuzz: no pipe or no temporary file",
                             /*gen_crash_diag=*/false);
  worker.errors = dup(fileno(errors));
  llvm::outs().flush();
  pid_t process = fork();
  if (process < 0)
    llvm::report_fatal_error("einhead-fuzz: cannot fork",
                             /*gen_crash_diag=*/false);
  if (process == 0) {
    close(ends[0]);
    dup2(fileno(errors), 2);
    work(options, worker.next, worker.end, startWorker, ends[1]);
  }
  fclose(errors);
  close(ends[1]);
  worker.process = process;
  worker.begin = worker.next;
  worker.results = ends[0];
  worker.buffer.clear();
}

/// What it printed that tells most.
std::string Crew::lastWords(Worker &worker, int status) const {
  std::string text(4000, '\0');
  lseek(worker.errors, 0, SEEK_SET);
  ssize_t size = read(worker.errors, text.data(), text.size());
  text.resize(std::max<ssize_t>(size, 0));
  std::string how =
      WIFSIGNALED(status)
          ? (WTERMSIG(status) == SIGALRM
                 ? "takes more than " + std::to_string(options.secondsPerCase) +
                       " s"
                 : std::string("ends by ") + strsignal(WTERMSIG(status)))
          : "ends with status " + std::to_string(WEXITSTATUS(status));
  llvm::SmallVector<llvm::StringRef> lines;
  llvm::StringRef(text).split(lines, '\n');
  for (llvm::StringRef line : lines)
    for (llvm::StringRef sign :
         {"Assertion", "LLVM ERROR", "runtime error", "AddressSanitizer",
          "UNREACHABLE", "terminate called", "what()"})
      if (line.contains(sign))
        return how + ": " + line.trim().str();
  for (llvm::StringRef line : lines)
    if (line.contains("einhead") && line.contains("(") && line.contains("::"))
      return how + " in " + line.trim().str();
  return how;
}

void Crew::receive(Worker &worker) {
  char bytes[4096];
  ssize_t size = read(worker.results, bytes, sizeof bytes);
  if (size < 0 && errno == EINTR)
    return;
  if (size <= 0)
    return ended(worker);
  worker.buffer.append(bytes, size);
  size_t newline;
  while ((newline = worker.buffer.find('\n')) != std::string::npos) {
    CaseResult result = parseLine(worker.buffer.substr(0, newline));
    worker.buffer.erase(0, newline + 1);
    worker.next = result.number + 1;
    // Memory that another case has damaged, most likely: it is in `since` to
    // this one.
    if (!worker.crash.empty() && worker.crashed == result.number &&
        result.outcome.kind != Outcome::Finding) {
      result.outcome.kind = Outcome::Finding;
      result.outcome.why = "crash after other cases: " + worker.crash;
      result.since = worker.since;
    }
    worker.crash.clear();
    onResult(result);
  }
}

void Crew::ended(Worker &worker) {
  int status = 0;
  waitpid(worker.process, &status, 0);
  worker.process = -1;
  if (worker.next < worker.end) {
    std::string words = lastWords(worker, status);
    bool isAlone = worker.next == worker.begin;
    if (isAlone) {
      CaseResult result;
      result.number = result.since = worker.next++;
      result.outcome.kind = Outcome::Finding;
      result.outcome.why = "crash: " + words;
      worker.crash.clear();
      onResult(result);
    } else {
      worker.crash = words;
      worker.crashed = worker.next;
      worker.since = worker.begin;
    }
  }
  close(worker.results);
  close(worker.errors);
}

void Crew::run() {
  while (true) {
    std::vector<pollfd> waits;
    std::vector<Worker *> of;
    for (Worker &worker : workers) {
      if (!worker.isAlive() && assign(worker))
        launch(worker);
      if (!worker.isAlive())
        continue;
      waits.push_back({worker.results, POLLIN, 0});
      of.push_back(&worker);
    }
    if (waits.empty())
      return;
    if (poll(waits.data(), waits.size(), -1) < 0)
      continue;
    for (auto [wait, worker] : llvm::zip(waits, of))
      if (wait.revents)
        receive(*worker);
  }
}

void runCases(const WorkerOptions &options,
              const std::function<Work()> &startWorker,
              const std::function<void(const CaseResult &)> &onResult) {
  if (options.processes == 0) {
    Work run = startWorker();
    for (uint64_t i = 0; i < options.count; ++i) {
      double begin = now();
      Outcome outcome = run(options.first + i);
      onResult({options.first + i, outcome, now() - begin, options.first + i});
    }
    return;
  }
  Crew(options, startWorker, onResult).run();
}

} // namespace einhead::fuzz
