import { render } from "preact"
import { App } from "./app"
import "./styles/base.css"
import "./styles/parts.css"
import "./styles/answer.css"
import "./styles/chat.css"
import "./styles/streams.css"

const page = document.getElementById("page")
if (page !== null) render(<App />, page)
