"""Prints a function of one einsum: einsum.py "bd, dn -> bn" b=5,d=50,n=33 bf16
[bf16] [dynamic]: the types of operands and result, extents known or not."""
import sys

spec, sizes, element, *rest = sys.argv[1:]
sizes = dict(each.split("=") for each in sizes.split(","))
dynamic = "dynamic" in rest
result = next((word for word in rest if word != "dynamic"), element)
terms = spec.replace("->", ",").replace(" ", "").split(",")


def type_of(term, of):
    return f"tensor<{''.join(('?' if dynamic else sizes[c]) + 'x' for c in term)}{of}>"


def named(name, term):
    shape = f', attn.shape = "{", ".join(term)}"' if dynamic else ""
    return f'{{attn.name = "{name}"{shape}}}'


x, w, y = type_of(terms[0], element), type_of(terms[1], element), type_of(terms[2], result)
print(f"func.func @project(%x: {x} {named('x', terms[0])}, %w: {w} {named('w', terms[1])})"
      f" -> ({y} {named('y', terms[2])}) {{\n"
      f'  %y = attn.einsum "{spec}"(%x, %w) : ({x}, {w}) -> {y}\n  return %y : {y}\n}}')
