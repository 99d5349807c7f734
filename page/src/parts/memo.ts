import { Component, type ComponentType, h } from "preact"

/** A component that is rendered again only where `same` says that its properties are others. */
export function memo<P extends object>(Inner: ComponentType<P>, same: (a: P, b: P) => boolean): ComponentType<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      return !same(this.props, next)
    }

    override render() {
      return h(Inner, this.props as P)
    }
  }
}
