"""Versions of kubeshim and of the Kubernetes API it serves."""

import argparse

import kubeshim


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def run(options: argparse.Namespace) -> int:
    del options
    print(f"kubeshim {kubeshim.__version__}, serving Kubernetes {kubeshim.KUBERNETES_VERSION}")
    return 0
