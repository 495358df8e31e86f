//===- PtxParse.cpp - The text of kernels -----------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Ptx.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <stdexcept>
#include <utility>

using namespace einhead::fake::ptx;

bool Instruction::has(const char *modifier) const {
  return std::find(modifiers.begin(), modifiers.end(), modifier) !=
         modifiers.end();
}

static Type parseType(const std::string &name) {
  if (name == "pred")
    return {Type::Predicate, 1, 1};
  if (name == "bf16")
    return {Type::BFloat, 16, 1};
  if (name == "bf16x2")
    return {Type::BFloat, 32, 2};
  if (name == "f16x2")
    return {Type::Float, 32, 2};
  if (name.size() < 2 || !std::isdigit(static_cast<unsigned char>(name[1])) ||
      name.find_first_not_of("0123456789", 1) != std::string::npos)
    return {};
  unsigned bits = static_cast<unsigned>(std::stoul(name.substr(1)));
  if (bits != 8 && bits != 16 && bits != 32 && bits != 64)
    return {};
  switch (name[0]) {
  case 'b':
    return {Type::Bits, bits, 1};
  case 'u':
    return {Type::Unsigned, bits, 1};
  case 's':
    return {Type::Signed, bits, 1};
  case 'f':
    return {Type::Float, bits, 1};
  default:
    return {};
  }
}

namespace {
struct Token {
  std::string text;
  int line;
};

/// Statements are runs of tokens; a word is all of letters, digits, % $ _ .
class Parser {
public:
  Parser(const std::string &text, const std::string &lost) : lost(lost) {
    split(text);
  }
  std::map<std::string, Kernel> run();

private:
  void split(const std::string &text);
  const std::string &peek(size_t ahead = 0) const {
    static const std::string end;
    return at + ahead < tokens.size() ? tokens[at + ahead].text : end;
  }
  std::string take() {
    if (at >= tokens.size())
      throw std::runtime_error("PTX ends in the middle");
    return tokens[at++].text;
  }
  [[noreturn]] void fail(const std::string &what) const {
    int line = at < tokens.size() ? tokens[at].line : -1;
    throw std::runtime_error("PTX, line " + std::to_string(line) + ": " + what);
  }
  void expect(const char *text) {
    if (peek() != text)
      fail("'" + peek() + "' where '" + text + "' should be");
    ++at;
  }
  void parseShared();
  void parseKernel();
  void parseParameters();
  void parseBody();
  void skipBody();
  void parseInstruction();
  Operand parseOperand();
  Operand parseAddress();
  uint64_t parseNumber(const std::string &word, bool &isFloat);
  int registerOf(const std::string &name);

  const std::string lost;
  std::map<std::string, int> counts; ///< of a kernel's instructions
  std::vector<Token> tokens;
  size_t at = 0;
  std::map<std::string, Kernel> kernels;
  Kernel *kernel = nullptr;
  std::map<std::string, int> registers, labels;
  std::map<std::string, uint64_t> symbols; // parameters, shared memory
  std::vector<std::pair<size_t, std::string>> branches;
};
} // namespace

void Parser::split(const std::string &text) {
  int line = 1;
  auto isWord = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '%' ||
           c == '$' || c == '_' || c == '.';
  };
  for (size_t i = 0; i < text.size();) {
    char c = text[i];
    if (c == '\n')
      ++line;
    if (std::isspace(static_cast<unsigned char>(c))) {
      ++i;
    } else if (text.compare(i, 2, "//") == 0) {
      i = std::min(text.find('\n', i), text.size());
    } else if (isWord(c)) {
      size_t end = i;
      while (end < text.size() &&
             (isWord(text[end]) || text.compare(end, 2, "::") == 0 ||
              (end > i && text.compare(end - 1, 2, "::") == 0)))
        ++end;
      tokens.push_back({text.substr(i, end - i), line});
      i = end;
    } else {
      tokens.push_back({std::string(1, c), line});
      ++i;
    }
  }
}

std::map<std::string, Kernel> Parser::run() {
  while (at < tokens.size()) {
    const std::string word = take();
    if (word == ".entry")
      parseKernel();
    else if (word == ".shared")
      parseShared();
  }
  return std::move(kernels);
}

/// ".align 16 .b8 name[64]"; memory of the module is that of each kernel.
void Parser::parseShared() {
  size_t element = 1, count = 0;
  std::string name;
  for (std::string word = take(); word != ";"; word = take()) {
    if (word == ".align")
      take();
    else if (Type type = parseType(word.substr(1)); word[0] == '.' && type.bits)
      element = type.bytes();
    else if (word == "[")
      count = peek() == "]" ? 0 : std::stoul(take());
    else if (word != "]")
      name = word;
  }
  if (count * element != 0)
    fail("static shared memory is not run");
  symbols[name] = 0; // the dynamic one
}

void Parser::parseKernel() {
  const std::string name = take();
  kernel = &kernels[name];
  kernel->name = name;
  registers.clear();
  labels.clear();
  branches.clear();
  counts.clear();
  if (peek() == "(")
    parseParameters();
  while (peek() != "{")
    ++at; // .maxntid and the like
  const size_t start = at;
  try {
    parseBody();
    for (auto [instruction, label] : branches) {
      if (!labels.count(label))
        fail("no label " + label);
      kernel->body[instruction].target = labels[label];
    }
  } catch (const std::exception &error) {
    kernel->error = error.what();
    at = start;
    skipBody();
  }
  kernel->registers = static_cast<int>(registers.size());
}

void Parser::skipBody() {
  int depth = 0;
  do {
    const std::string word = take();
    depth += (word == "{") - (word == "}");
  } while (depth > 0);
}

void Parser::parseParameters() {
  expect("(");
  size_t offset = 0, size = 0, alignment = 1, count = 1;
  std::string name;
  while (true) {
    const std::string word = take();
    if (word == ".align") {
      alignment = std::stoul(take());
    } else if (Type type = parseType(word.substr(1));
               word[0] == '.' && type.bits) {
      size = type.bytes();
      alignment = std::max(alignment, size);
    } else if (word == "[") {
      count = std::stoul(take());
      expect("]");
    } else if (word == "," || word == ")") {
      if (!name.empty()) {
        offset = (offset + alignment - 1) / alignment * alignment;
        kernel->offsets.push_back(offset);
        kernel->sizes.push_back(size * count);
        symbols[name] = offset;
        offset += size * count;
      }
      name.clear();
      alignment = count = 1;
      if (word == ")")
        return;
    } else if (word[0] != '.') {
      name = word;
    }
  }
}

int Parser::registerOf(const std::string &name) {
  return registers.emplace(name, static_cast<int>(registers.size()))
      .first->second;
}

void Parser::parseBody() {
  int depth = 0;
  do {
    const std::string word = peek();
    if (word == "{") {
      ++depth;
      ++at;
    } else if (word == "}") {
      --depth;
      ++at;
    } else if (word == ".shared") {
      ++at;
      parseShared();
    } else if (word[0] == '.') {
      while (take() != ";") // registers and places in the source
        if (tokens[at - 1].text == ".loc" || tokens[at - 1].text == ".file")
          fail("places in the source are not read");
    } else if (word == ";") {
      ++at;
    } else if (peek(1) == ":") {
      labels[word] = static_cast<int>(kernel->body.size());
      at += 2;
    } else {
      parseInstruction();
    }
  } while (depth > 0);
}

void Parser::parseInstruction() {
  Instruction instruction;
  instruction.line = tokens[at].line;
  if (peek() == "@") {
    ++at;
    if (peek() == "!") {
      instruction.isNegated = true;
      ++at;
    }
    instruction.predicate = registerOf(take());
  }
  const std::string word = take();
  const bool isLost = word + ":" + std::to_string(counts[word]++) == lost;
  for (size_t from = 0; from <= word.size();) {
    size_t dot = std::min(word.find('.', from), word.size());
    const std::string part = word.substr(from, dot - from);
    if (from == 0)
      instruction.op = part;
    else
      instruction.modifiers.push_back(part);
    if (Type type = parseType(part); from > 0 && type.kind != Type::None)
      instruction.types.push_back(type);
    from = dot + 1;
  }
  if (instruction.op == "bra")
    branches.push_back({kernel->body.size(), peek()});
  while (peek() != ";") {
    if (peek() == "," || peek() == "|")
      ++at;
    else
      instruction.operands.push_back(parseOperand());
  }
  ++at;
  instruction.code = codeOf(instruction);
  if (!isLost)
    kernel->body.push_back(std::move(instruction));
}

/// A number of PTX, or one that the text has a name for.
uint64_t Parser::parseNumber(const std::string &word, bool &isFloat) {
  isFloat =
      word.size() > 2 && word[0] == '0' &&
      (word[1] == 'f' || word[1] == 'F' || word[1] == 'd' || word[1] == 'D');
  if (isFloat)
    return std::stoull(word.substr(2), nullptr, 16);
  return std::stoull(word, nullptr, 0);
}

Operand Parser::parseOperand() {
  Operand operand;
  if (peek() == "[")
    return parseAddress();
  if (peek() == "{") {
    ++at;
    operand.kind = Operand::Vector;
    while (peek() != "}") {
      if (peek() == ",")
        ++at;
      else
        operand.parts.push_back(parseOperand());
    }
    ++at;
    return operand;
  }
  bool isNegative = peek() == "-";
  if (isNegative)
    ++at;
  const std::string word = take();
  if (std::isdigit(static_cast<unsigned char>(word[0]))) {
    operand.bits = parseNumber(word, operand.isFloat);
    if (isNegative)
      operand.bits = ~operand.bits + 1;
  } else if (symbols.count(word)) {
    operand.bits = symbols[word];
  } else if (word[0] != '%') {
    operand.kind = Operand::Special; // a label
    operand.name = word;
  } else if (word.find('.') != std::string::npos || word == "%laneid" ||
             word == "%warpid") {
    operand.kind = Operand::Special;
    operand.name = word;
  } else {
    operand.kind = Operand::Register;
    operand.reg = registerOf(word);
  }
  return operand;
}

Operand Parser::parseAddress() {
  Operand operand;
  operand.kind = Operand::Address;
  expect("[");
  bool isFloat = false;
  while (peek() != "]") {
    if (peek() == "+") {
      ++at;
      continue;
    }
    bool isNegative = peek() == "-";
    if (isNegative)
      ++at;
    const std::string word = take();
    if (word[0] == '%')
      operand.reg = registerOf(word);
    else if (symbols.count(word))
      operand.bits += symbols[word];
    else if (std::isdigit(static_cast<unsigned char>(word[0])))
      operand.bits += isNegative ? ~parseNumber(word, isFloat) + 1
                                 : parseNumber(word, isFloat);
    else
      fail("no address '" + word + "'");
  }
  ++at;
  return operand;
}

std::map<std::string, Kernel>
einhead::fake::ptx::parse(const std::string &text, const std::string &lost) {
  return Parser(text, lost).run();
}
